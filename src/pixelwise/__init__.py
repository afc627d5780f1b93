"""Pixelwise."""
