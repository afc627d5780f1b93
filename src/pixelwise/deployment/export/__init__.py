"""Export of a run to ONNX, OpenVINO, ExecuTorch or torch.export, verified against PyTorch."""
