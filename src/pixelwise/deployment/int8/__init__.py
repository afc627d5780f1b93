"""8-bit artefacts: calibration, sensitive layers, bias correction."""
