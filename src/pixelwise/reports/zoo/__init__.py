"""The published pages with our results beside them, drawn."""
