"""Division of the images of a prediction into units that have a receipt each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence

from pixelwise.prediction.inputs import Input
from pixelwise.storage import sha256_bytes
from pixelwise.storage.stores.addresses import address_of

MEAN_LENGTH = 32
"""Number of images in most units, about: so many are predicted again if their receipt is lost."""
_MOST = 4
"""Largest number of images in a unit, as a multiple of the mean."""


def units(images: Sequence[Input], mean: int = MEAN_LENGTH) -> Iterator[Sequence[Input]]:
    """Divide images that follow each other into units.

    Where a unit ends depends on the name of its last image alone, so images that are added or removed change the units
    around them and no others.

    Args:
        images: The images.
        mean: Number of images in a unit, about.
    """
    start = 0
    for position, image in enumerate(images, 1):
        if position - start == _MOST * mean or position == len(images) or _ends(image, mean):
            yield images[start:position]
            start = position


def _ends(image: Input, mean: int) -> bool:
    digest = hashlib.blake2b(_bytes(image.name.as_posix()), digest_size=4).digest()
    return int.from_bytes(digest, "little") % mean == 0


def key_of(image: Input) -> str:
    """32 hexadecimal digits that stand for the place of an image and for the name of what is written for it."""
    place = address_of(image.path) or os.path.abspath(image.path)
    return sha256_bytes(_bytes(f"{place}\0{image.name.as_posix()}"))[:32]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
