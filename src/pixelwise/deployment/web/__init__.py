"""A page that runs an exported network in a browser: ONNX Runtime's WebAssembly, and scripts that follow `model.toml`."""
