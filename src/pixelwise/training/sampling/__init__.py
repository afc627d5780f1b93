"""The order of more images than a permutation in memory holds."""
