"""Rectangles of images that are too large to be decoded whole."""
