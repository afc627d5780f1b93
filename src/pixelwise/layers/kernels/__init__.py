"""Operations of PyTorch in a form that processors compute faster, and the layouts in which they do."""
