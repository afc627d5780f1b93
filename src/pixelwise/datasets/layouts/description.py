"""`dataset.toml`: what the owner of a folder says about its classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from pixelwise.recipes.classes.tables import IGNORE, Color
from pixelwise.storage import write_text

DESCRIPTION_FILE = "dataset.toml"
"""Name of the file in the data set's folder."""


def is_described(root: Path) -> bool:
    """Whether the owner of the folder says what its classes are."""
    return (root / DESCRIPTION_FILE).is_file()


def write_description(
    root: Path, classes: Sequence[str], palette: Sequence[Color | str] = (), ignore: int = IGNORE
) -> None:
    """Write `dataset.toml` for masks that hold class ids.

    Args:
        root: The data set's folder.
        classes: Class names; the position is the class id.
        palette: One colour per class, RGB (0..255) or `#rrggbb`; empty: no colours are named.
        ignore: The value of ignored pixels.
    """
    content: dict[str, Any] = {"classes": list(classes), "palette": list(palette), "ignore": ignore}
    if not palette:
        del content["palette"]
    write_text(root / DESCRIPTION_FILE, tomli_w.dumps(content))
