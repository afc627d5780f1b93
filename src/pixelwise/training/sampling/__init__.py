"""The order of more images than a permutation in memory holds, and how often large images are drawn."""
