"""Prediction with exported networks where PyTorch is not installed: the same masks from arrays alone."""
