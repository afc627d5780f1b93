"""Folders that have their places by the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def intel_folder() -> Path:
    """Where programs of Intel, such as OpenVINO, note what the user chose.

    Raises:
        KeyError: The system does not say where settings lie.
        RuntimeError: It does not say where the user's home is.
    """
    if sys.platform == "win32":
        return Path(os.environ["LOCALAPPDATA"]) / "Intel Corporation"
    return Path.home() / "intel"
