"""The result of writing a data set as images, masks and a `dataset.toml`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding


class WrittenData(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that was written.

    Attributes:
        root: The folder that was written.
        classes: Class names; the position is the class id.
        pairs: Number of pairs per split.
        left_out: Printable name of each image that was left out -> code of its error, which was allowed.
        problems: Findings about files, annotations and lines of the original that are not in what was written:
            warnings, and errors that were allowed.
    """

    root: Path
    classes: tuple[str, ...]
    pairs: dict[str, int]
    left_out: dict[str, str] = {}
    problems: tuple[Finding, ...] = ()
