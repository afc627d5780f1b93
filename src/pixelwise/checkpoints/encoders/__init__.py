"""Weights of encoders from files: found inside whole networks, and renamed from the layouts of other libraries."""
