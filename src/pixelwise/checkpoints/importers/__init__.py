"""Importers of other systems' weights: one file per key layout, and the translation that they share."""
