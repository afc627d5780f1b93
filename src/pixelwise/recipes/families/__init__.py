"""The specs of the built-in model families, identified by their `family`, without torch.

The network of a family is in the module of the same name in `pixelwise.models`.
"""
