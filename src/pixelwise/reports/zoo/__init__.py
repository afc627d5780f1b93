"""Renderings of the published pages with our results beside every row."""
