"""Weights on disk: our checkpoints, and the weights of other systems."""
