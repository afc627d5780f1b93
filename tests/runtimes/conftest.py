from __future__ import annotations

from pathlib import Path

import pytest
from runtimes.descriptions import CONTENT, sidecar_of

from pixelwise.runtimes.sidecar import write_sidecar


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    write_sidecar(sidecar_of(), tmp_path / "model.toml")
    return tmp_path
