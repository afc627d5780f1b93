"""What the terms of the loss are: the options of each of ours, found by its name; no torch.

The function of a term is in the module of the same name in `pixelwise.losses`.
"""
