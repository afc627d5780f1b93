"""The published pages joined with what was counted and measured here."""
