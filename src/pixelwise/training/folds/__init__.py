"""Training on parts of the same images: cross-validation."""
