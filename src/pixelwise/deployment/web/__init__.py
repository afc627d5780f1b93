"""A page that runs an exported network in a browser: ONNX Runtime Web, and scripts that follow `model.toml`."""
