"""Layout scores: how much of a folder each known layout explains."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.format import format_of
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.recognition import recognised
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError


class LayoutScore(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a folder one layout explains.

    Attributes:
        name: Name of the format, as in `data.dataset`.
        description: The layout in words.
        pairs: Number of images for which it finds a mask.
        used: Number of image files below the folder that the layout uses.
        files: Number of image files below the folder.
        drawn: Whether its masks are drawn from files, which may be image files themselves and are not counted as used.
    """

    name: str
    description: str
    pairs: int
    used: int
    files: int
    drawn: bool = False

    @property
    def share(self) -> float:
        """Share of the image files that the layout uses, 0..1."""
        return self.used / self.files if self.files else 0.0


def layout_scores(dataset: Dataset) -> tuple[LayoutScore, ...]:
    """Score the layout that `dataset` was opened with, then all others that find a pair, the best first.

    Only names are read. Formats whose masks would have to be drawn first are not tried; public data sets are tried only
    if the file names match theirs.
    """
    files = _hashes(entry.path for entry in list_images(dataset.root).entries)
    opened = _score(dataset.name, dataset.layout, dataset.splits, files)
    opened = msgspec.structs.replace(opened, drawn=format_of(dataset.name).drawn)
    others: dict[str, LayoutScore] = {}
    for format in recognised(dataset.root):
        if format.name == dataset.name or format.drawn:
            continue
        layout: Layout | None = None
        with contextlib.suppress(DataError):  # damaged files of another format do not matter here
            layout = format.layout(dataset.root)
        if layout is None:
            continue
        score = _score(format.name, layout.in_words, layout.splits, files)
        # The same layout under another format name is not an alternative.
        if score.pairs and layout.in_words != dataset.layout:
            others.setdefault(layout.in_words, score)
    return (opened, *sorted(others.values(), key=lambda score: -score.used))


def _score(name: str, description: str, splits: Mapping[str, Sequence[Sample]], files: np.ndarray) -> LayoutScore:
    used = _hashes(path for sample in _each(splits) for path in (sample.image_path, *sample.mask_files))
    return LayoutScore(
        name=name,
        description=description,
        pairs=sum(sample.mask_path is not None for sample in _each(splits)),
        used=len(np.intersect1d(used, files, assume_unique=True) if len(files) else used),
        files=len(files),
    )


def _each(splits: Mapping[str, Sequence[Sample]]) -> Iterator[Sample]:
    return itertools.chain.from_iterable(splits.values())


def _hashes(paths: Iterable[Path]) -> np.ndarray:
    """int64, hashes of the different paths: of millions of paths, they take a tenth of the memory."""
    return np.unique(np.fromiter((hash(os.fsencode(path.absolute())) for path in paths), np.int64))
