"""The user's cache folder: what can be computed again, and never beside the user's data."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/pixelwise`, or `~/.cache/pixelwise`; created readable by its owner only."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "pixelwise"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
