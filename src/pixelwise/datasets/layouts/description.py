"""The file `dataset.toml`, in which the owner of a folder describes its classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.storage import write_text

DESCRIPTION_FILE = "dataset.toml"
"""Name of the file in the data set's folder."""


def is_described(root: Path) -> bool:
    """Whether the folder has a `dataset.toml`, readable or not."""
    return os.path.lexists(root / DESCRIPTION_FILE)


def write_description(
    root: Path, classes: Sequence[str], palette: Sequence[Color | str] = (), ignore: int = IGNORE
) -> None:
    """Write `dataset.toml` for masks that hold class ids.

    Args:
        root: The data set's folder.
        classes: Class names; the position is the class id.
        palette: One colour per class, RGB (0..255) or `#rrggbb`; empty: no colours are written.
        ignore: Mask value of ignored pixels.
    """
    content: dict[str, Any] = {"classes": list(classes), "palette": list(palette), "ignore": ignore}
    if not palette:
        del content["palette"]
    write_text(root / DESCRIPTION_FILE, tomli_w.dumps(content))
