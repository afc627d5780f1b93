"""The masks of multi-label data, one for each class: each is edited as a mask of two classes, above the others."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.formats.class_folders import IGNORE_FOLDER
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.pages.fixing.keeping import Keeper
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.storage import printable
from pixelwise.storage.stores.members import Member

PRESENT = 1
"""Class id of the pixels that have the class of a layer; the others have 0."""
_WHITE = (1, 255, 65535)
_USUAL_WHITE = 255
_IGNORED_COLOR = (112, 112, 112)
_LOOKED_AT = 16


class Layer(NamedTuple):
    """A class of multi-label data, or its ignored pixels.

    Attributes:
        id: Id of the class; 255 for the ignored pixels.
        name: Its name.
        color: Its colour.
    """

    id: int
    name: str
    color: Color


def layers_of(dataset: Dataset) -> tuple[Layer, ...]:
    """The layers of multi-label data; none of other data."""
    if not dataset.multilabel:
        return ()
    named = zip(dataset.classes, dataset.palette, strict=True)
    return (
        *(Layer(id, name, color) for id, (name, color) in enumerate(named)),
        Layer(IGNORE, "ignored", _IGNORED_COLOR),
    )


class Layers:
    """Reads and saves the layers of a data folder.

    Args:
        root: The data folder, without links.
        dataset: The multi-label data set that was found there.
    """

    def __init__(self, root: Path, dataset: Dataset) -> None:
        self._root, self._dataset, self._lock = root, dataset, threading.RLock()
        self._keepers: dict[tuple[int, int], Keeper] = {}

    def path(self, sample: Sample, layer: Layer, mask: Path | None = None) -> Path | None:
        """Where the mask of a layer is, or belongs; None if the names of the other masks do not tell.

        Args:
            sample: The image.
            layer: The layer.
            mask: Where a mask of any class belongs, for an image that has none.
        """
        files = (*sample.class_masks, sample.ignore_mask) if sample.class_masks else ()
        own = files[-1] if layer.id == IGNORE and files else files[layer.id] if files else None
        if own is not None:
            return own
        known = [path for path in (*files, mask) if path is not None]
        return next((path for one in known if (path := self._moved(one, layer)) is not None), None)

    def keeper(self, layer: Layer, path: Path) -> Keeper:
        """What reads and saves the mask of a layer at a path, in the white of the file or of the others of its kind."""
        with self._lock:
            examples = list(self._examples(layer))
            white = next(filter(None, map(_white_of, (path, *examples))), _USUAL_WHITE)
            key = layer.id, white
            if key not in self._keepers:
                dataset = _dataset_of(self._dataset, layer, white, examples)
                self._keepers[key] = Keeper(self._root, dataset, self._lock)
            return self._keepers[key]

    def _moved(self, path: Path, layer: Layer) -> Path | None:
        """The place of a mask in the folder of another class."""
        if isinstance(path, Member) or not path.is_relative_to(self._dataset.root):
            return None
        parts = list(path.relative_to(self._dataset.root).parts)
        names = {*self._dataset.classes, IGNORE_FOLDER}
        places = [one for one in range(1, len(parts) - 1) if _as_class(parts[one]) in names]
        if not places:
            return None
        # The folder of a split may have the name of a class, such as `train`; that of the class is then below it.
        place = places[0] + (places[0] + 1 in places and parts[places[0]].lower() in SPLIT_NAMES)
        parts[place] = _folder_of(
            IGNORE_FOLDER if layer.id == IGNORE else layer.name, self._dataset.root.joinpath(*parts[:place])
        )
        return self._dataset.root.joinpath(*parts[:-1], f"{path.stem}.png")

    def _examples(self, layer: Layer) -> Iterator[Path]:
        """Some masks of a layer, before some of other layers."""
        samples = [one for each in self._dataset.splits.values() for one in islice(each, _LOOKED_AT)]
        for of_layer in (True, False):
            for sample in samples:
                for id, path in enumerate((*sample.class_masks, sample.ignore_mask)):
                    own = (IGNORE if id == len(sample.class_masks) else id) == layer.id
                    if path is not None and own is of_layer and not isinstance(path, Member):
                        yield path


def _as_class(folder: str) -> str:
    return printable(unicodedata.normalize("NFC", folder))


def _folder_of(name: str, above: Path) -> str:
    """The folder of a class as it is written on the disk, where its name may not be in NFC, or not printable."""
    if (above / name).exists() or not above.is_dir():
        return name
    return next((one.name for one in sorted(above.iterdir()) if _as_class(one.name) == name), name)


def _white_of(path: Path) -> int:
    """The value that marks pixels in a mask; 0 if that cannot be seen."""
    try:
        with Image.open(path) as image:
            most = int(np.asarray(image).max())
    except (OSError, ValueError, Image.DecompressionBombError):
        return 0
    return most if most in _WHITE else 0


def _dataset_of(dataset: Dataset, layer: Layer, white: int, examples: Iterable[Path]) -> Dataset:
    """A layer as a data set of two classes, with some of its masks as examples of how they are stored."""
    table = dataset.label_table
    ids = {0: 0, 1: PRESENT} if table.threshold is not None else {0: 0, white: PRESENT}
    samples = tuple(Sample(path.stem, path, path) for path in islice(examples, _LOOKED_AT))
    return msgspec.structs.replace(
        dataset,
        multilabel=False,
        classes=(f"not {layer.name}", layer.name),
        palette=((0, 0, 0), layer.color),
        label_table=LabelTable(ids=ids, threshold=table.threshold, from_alpha=table.from_alpha),
        splits={"train": samples},
    )
