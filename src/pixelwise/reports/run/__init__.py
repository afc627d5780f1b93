"""A run and its scores, drawn."""
