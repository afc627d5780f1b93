"""Weights files of any system: recognised by their content, and read without running anything from them."""
