"""How weights follow from gradients: optimizers, learning rates over time, the moving average."""
