"""The audit of a data set, drawn."""
