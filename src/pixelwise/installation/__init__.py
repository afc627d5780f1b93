"""Examines what Pixelwise runs on: packages, hardware, limits, caches, and what is known not to work together."""
