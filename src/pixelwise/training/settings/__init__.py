"""Settings of a recipe held against the data: what cannot have its effect, and the values that fit."""
