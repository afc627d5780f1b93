"""What the weights of other systems are called: one file per layout of keys. Importing them does not import torch."""
