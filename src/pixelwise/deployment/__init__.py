"""Deployment of a run: export, int8 quantization, and the deploy card that compares all artefacts."""
