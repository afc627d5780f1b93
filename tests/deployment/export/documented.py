"""The program of docs/deployment.md, which uses an artefact without PyTorch and without this package."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "deployment.md"


def snippet() -> str:
    _, section = DOCUMENT.read_text("utf-8").split("\n### Without PyTorch\n")
    (found,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return found


def masked(folder: Path, photo: Path, output: Path) -> np.ndarray:
    """The mask that the program writes, run within this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run.py", str(folder), str(photo), str(output)])
        exec(compile(snippet(), "docs/deployment.md", "exec"), {"__name__": "__main__"})
    return np.asarray(Image.open(output))
