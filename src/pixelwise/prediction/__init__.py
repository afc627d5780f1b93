"""Prediction of class ids, masks and overlays for images, folders and patterns."""
