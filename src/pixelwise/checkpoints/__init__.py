"""Weights on disk: checkpoints of runs, and weights imported from other systems."""
