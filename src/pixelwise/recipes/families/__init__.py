"""What the networks are: the specs of our model families, found by their `family`; no torch.

The network of a family is in the module of the same name in `pixelwise.models`.
"""
