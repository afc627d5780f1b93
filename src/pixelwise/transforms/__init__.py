"""Image-label pairs in, training batches out."""
