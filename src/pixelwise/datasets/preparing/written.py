"""The result of writing a data set as images, masks and a `dataset.toml`."""

from __future__ import annotations

from pathlib import Path

import msgspec


class WrittenData(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that was written.

    Attributes:
        root: The folder that was written.
        classes: Class names; the position is the class id.
        pairs: Number of pairs by split.
        left_out: Printable names of images that were left out -> code of what is wrong with them, which was allowed.
    """

    root: Path
    classes: tuple[str, ...]
    pairs: dict[str, int]
    left_out: dict[str, str] = {}
