"""Chooses the planned fields of a recipe (`Recipe.planned`) from the data, the machine and the time of a run."""
