"""Merges what several annotations say about one image.

Tools list an image twice, write one file per class, or repeat objects in a file of key points. Drawn one by one, each
would call the objects of the others background.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pixelwise.datasets.layouts.outlines import Broken, Picture, Read, Shape, Unused
from pixelwise.storage import printable


def merged(pictures: Iterable[Read]) -> Iterator[Read]:
    """One picture per image and split, with the objects of all its annotations, each object once.

    An image whose annotations contradict each other, or one of which cannot be used, is left out as `Broken`: a mask
    without some of its objects would be wrong. An image in several splits gets the same objects in each.

    Args:
        pictures: All annotations of a data set.
    """
    of_image: dict[Path, list[Picture]] = {}
    broken: set[Path] = set()
    for one in pictures:
        if isinstance(one, Broken):
            yield one
            if one.image is not None:
                broken.add(one.image.absolute())
        elif isinstance(one, Unused):
            yield one
        else:
            of_image.setdefault(one.image.absolute(), []).append(one)
    for image, found in of_image.items():
        if image in broken:
            continue
        if len(found) == 1:
            yield found[0]
            continue
        first = found[0]
        sizes = list(dict.fromkeys(one.size for one in found if one.size is not None))
        if len(sizes) > 1:
            (a, b), (c, d) = sizes[:2]
            reason = f"{printable(image.name)} has two annotations of different sizes, {b}x{a} and {d}x{c} (WxH)"
            yield Broken(found[-1].source, reason, image)
            continue
        # An annotation without a split adds to those that have one.
        splits = list(dict.fromkeys(one.split for one in found if one.split is not None)) or [None]
        picture = first._replace(
            size=sizes[0] if sizes else None,
            shapes=_distinct(shape for one in found for shape in one.shapes),
            skipped=[kind for one in found for kind in one.skipped],
            smaller_on_top=any(one.smaller_on_top for one in found),
            elsewhere=next((one.elsewhere for one in found if one.elsewhere), ""),
        )
        for split in splits:
            yield picture._replace(split=split)


def _distinct(shapes: Iterable[Shape]) -> list[Shape]:
    """The shapes without those that repeat an earlier one."""
    found: dict[object, Shape] = {}
    for number, shape in enumerate(shapes):
        key = number if shape.outline is None else (shape.label, shape.outline)
        found.setdefault(key, shape)
    return list(found.values())
