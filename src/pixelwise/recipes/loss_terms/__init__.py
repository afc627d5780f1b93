"""The options of the built-in loss terms, without torch.

The function that computes a term is in the module of the same name in `pixelwise.losses`.
"""
