"""Key layouts of other systems' weights, one per file. Importing these modules does not import torch."""
