"""Folders whose location depends on the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def intel_folder() -> Path:
    """The folder in which Intel's programs, such as OpenVINO, store the user's settings.

    Raises:
        KeyError: LOCALAPPDATA is not set (Windows).
        RuntimeError: The user's home folder is unknown (other systems).
    """
    if sys.platform == "win32":
        return Path(os.environ["LOCALAPPDATA"]) / "Intel Corporation"
    return Path.home() / "intel"
