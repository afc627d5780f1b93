"""The units of an evaluation: images of a split that follow each other, which one worker scores together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.fingerprint import Digested
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.evaluation import passes
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.stores.members import state_of

MOST_UNITS = 64
"""Number of units of a split, about, as long as none has more than `LENGTH` images."""
LENGTH = 256
"""Number of images of the units of a large split, about."""
_MARK_LENGTH = 16


class Unit(NamedTuple):
    """Images that are scored together.

    Attributes:
        name: Name of its receipt, which changes with its images and masks: two units of one name hold the same ones.
        places: Positions of its images in the split.
    """

    name: str
    places: range


def divide(samples: Sequence[Sample], batch_size: int) -> list[Unit]:
    """Divide the images of a split, so that no batch is cut.

    Args:
        samples: The samples of the split.
        batch_size: Largest number of images per forward pass.
    """
    block = passes.BLOCK * batch_size
    length = block * max(1, min(LENGTH, len(samples) // MOST_UNITS) // block)
    parts = (range(start, min(start + length, len(samples))) for start in range(0, len(samples), length))
    return [Unit(_name(samples, places), places) for places in parts]


def refuse_changed(unit: Unit, samples: Sequence[Sample], dataset: Dataset) -> None:
    """Refuse a unit whose images are not those that it was named after: the data changed since it was divided.

    Raises:
        DataError: D271, they are others.
    """
    if unit.places.stop > len(samples) or _name(samples, unit.places) != unit.name:
        raise DataError(
            "D271",
            f"{printable(dataset.root)}: the images or masks have changed since they were listed",
            "give the same command again; what is done and has not changed is kept",
        )


def _name(samples: Sequence[Sample], places: range) -> str:
    some = samples[places.start : places.stop]
    states = list(some.digests() if isinstance(some, Digested) else _states(some))
    mark = sha256_bytes(repr(states).encode("utf-8", "surrogateescape"))[:_MARK_LENGTH]
    return f"{places.start:08d}-{mark}"


def _states(samples: Sequence[Sample]) -> Iterator[tuple[str, ...]]:
    for sample in samples:
        masks = (sample.mask_path,) if not sample.class_masks else (*sample.class_masks, sample.ignore_mask)
        yield sample.id, *(_state(path) for path in (sample.image_path, *masks))


def _state(path: Path | None) -> str:
    """The state of a file; empty if there is none or it is inaccessible, which reading it will say."""
    try:
        return "" if path is None else state_of(path)
    except OSError:
        return ""
