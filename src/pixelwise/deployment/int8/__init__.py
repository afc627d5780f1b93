"""Post-training quantization to int8: calibration, sensitive layers, bias correction."""
