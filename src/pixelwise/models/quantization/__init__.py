"""Networks that learn with 8-bit weights and activations."""
