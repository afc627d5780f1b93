"""Data sets: formats, layouts, classes, decoding, the audit, and writing new data sets."""
