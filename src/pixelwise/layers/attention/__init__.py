"""Attention as transformers that decode feature maps use it, and the positions that it tells apart."""
