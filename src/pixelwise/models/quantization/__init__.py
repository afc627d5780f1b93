"""Quantization-aware training: networks that train with int8 weights and activations."""
