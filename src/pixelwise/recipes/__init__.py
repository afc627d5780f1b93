"""Recipes, evaluation protocols and published results: plain data that never imports torch."""
