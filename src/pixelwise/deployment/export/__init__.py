"""A run as ONNX, OpenVINO, ExecuTorch or torch.export, verified against PyTorch."""
