"""Image to a list of feature maps, from fine to coarse."""
