"""Data sets: formats and layouts, classes, decoding, the audit, and writing new ones."""
