"""Names of the page among the export targets."""

TARGET = "web"
"""Name in `--target`."""
RUNTIME = "onnx"
"""Target of the artefact in the page."""
