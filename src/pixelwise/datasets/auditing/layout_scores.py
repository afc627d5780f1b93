"""Scores of layouts: how well each known one explains a folder, the recognised one and what came second."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.recognition import recognised
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError


class LayoutScore(msgspec.Struct, frozen=True, kw_only=True):
    """One layout's view of a folder.

    Attributes:
        name: What `data.dataset` calls it.
        description: The layout in words.
        pairs: Images with a mask that it finds.
        used: Image files below the folder that are part of a pair.
        files: Image files below the folder.
    """

    name: str
    description: str
    pairs: int
    used: int
    files: int

    @property
    def share(self) -> float:
        """The share of the image files that the layout makes use of, 0..1."""
        return self.used / self.files if self.files else 0.0


def layout_scores(dataset: Dataset) -> tuple[LayoutScore, ...]:
    """The layout that `dataset` was opened with, then all others that find a pair, the best first.

    Only names are read. Formats whose masks would have to be drawn first are never tried, and public data sets only
    where the names of the files are theirs.
    """
    files = {_key(entry.path) for entry in list_images(dataset.root).entries}
    samples = [sample for found in dataset.splits.values() for sample in found]
    opened = _score(dataset.name, dataset.layout, samples, files)
    others: dict[str, LayoutScore] = {}
    for format in recognised(dataset.root):
        if format.name == dataset.name or format.drawn:
            continue
        layout: Layout | None = None
        with contextlib.suppress(DataError):  # damaged files of another format are no matter here
            layout = format.layout(dataset.root)
        if layout is None:
            continue
        score = _score(format.name, layout.description, [s for found in layout.splits.values() for s in found], files)
        # The same files under another name are no other way to read them.
        if score.pairs and layout.description != dataset.layout:
            others.setdefault(layout.description, score)
    return (opened, *sorted(others.values(), key=lambda score: -score.used))


def _score(name: str, description: str, samples: list[Sample], files: set[bytes]) -> LayoutScore:
    paths = {_key(path) for sample in samples for path in (sample.image_path, *sample.mask_files)}
    return LayoutScore(
        name=name,
        description=description,
        pairs=sum(sample.mask_path is not None for sample in samples),
        used=len(paths & files) if files else len(paths),
        files=len(files),
    )


def _key(path: Path) -> bytes:
    return os.fsencode(path.absolute())
