"""The schema of recipes, with one module per section or group of sections."""
