"""Annotation files of labelling tools, one module per tool or format: shapes from which masks are drawn."""
