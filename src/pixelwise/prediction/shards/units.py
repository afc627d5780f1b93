"""The units of a prediction into tars: images that are predicted together, and whose predictions are one tar."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.reading.regions.mosaics import state_of_image
from pixelwise.datasets.shards.foreign.loose import images_below, is_image_address
from pixelwise.datasets.shards.layout import is_sharded, open_shards
from pixelwise.datasets.shards.rows import Shards
from pixelwise.datasets.shards.tars import webdataset_keys
from pixelwise.errors import DataError
from pixelwise.prediction.inputs import Input, find_inputs
from pixelwise.prediction.receipts.division import units
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.stores.addresses import address_of, place_of
from pixelwise.storage.stores.containers import names_containers

MEAN_LENGTH = 256
"""Number of images of most units of images that lie in folders, about; those in tars are a unit per tar."""
_MARK_LENGTH = 16


class Picture(NamedTuple):
    """An image of a unit.

    Attributes:
        image: Its file, and its key as the name of what is written for it.
        name: What it is called among the inputs: the path below the given folder, or split and id.
    """

    image: Input
    name: str

    @property
    def key(self) -> str:
        """What the names of its files in the tar begin with, up to the first dot."""
        return self.image.name.as_posix()


class Unit(NamedTuple):
    """Images that are predicted together.

    Attributes:
        name: Name of its receipt, which changes with its images: two units of one name hold the same ones.
        pictures: The images, in the order of their files in the tar.
    """

    name: str
    pictures: Sequence[Picture]


class Units(NamedTuple):
    """The units of a prediction.

    Attributes:
        units: All of them, in the order of the images.
        problems: Entries of folders that cannot be read (D131).
        left_out: Files of folders that are not taken for images.
    """

    units: list[Unit]
    problems: list[Finding]
    left_out: list[Path]


def find_units(paths: Sequence[str | os.PathLike[str]]) -> Units:
    """All images given by `paths`, as `find_inputs` takes them, in units.

    Images in shards are a unit per tar and are not listed one by one. Where other units end depends on names alone, so
    an image more changes one unit.

    Raises:
        DataError: D223, one of `paths` yields no image; D222, D270 or D272, an address holds no data in shards.
    """
    places = [place_of(path) for path in paths]
    in_tars = [_in_tars(place) for place in places]
    found = [unit for place, one in zip(places, in_tars, strict=True) if one for unit in _units_of_tars(place)]
    rest = [path for path, one in zip(paths, in_tars, strict=True) if not one]
    problems: list[Finding] = []
    left_out: list[Path] = []
    if rest:
        inputs = find_inputs(rest, [])
        problems, left_out = inputs.problems, inputs.left_out
        names = [image.name.as_posix() for image in inputs.images]
        keys = webdataset_keys(names)
        keyed = {id(image): Path(key) for image, key in zip(inputs.images, keys, strict=True)}
        for images in units(inputs.images, MEAN_LENGTH):
            pictures = [Picture(Input(image.path, keyed[id(image)]), image.name.as_posix()) for image in images]
            states = [(picture.name, picture.key, _state(picture.image.path)) for picture in pictures]
            found.append(Unit(f"images-{_mark(states)}", pictures))
    return Units(list({unit.name: unit for unit in found}.values()), problems, left_out)


def _in_tars(place: Path) -> bool:
    if address_of(place) is not None:
        return not is_image_address(place) and images_below(place) is None
    return names_containers(place) or (place.is_dir() and is_sharded(place))


def _units_of_tars(root: Path) -> list[Unit]:
    shards = _opened(root)
    found = []
    for split, rows in shards.index.splits.items():
        of_row = shards.index.shards[rows.start : rows.stop]
        for number in np.unique(of_row).tolist():
            chosen = rows.start + np.flatnonzero(of_row == number)
            ends = int(chosen[0]), int(chosen[-1]) + 1
            numbers = range(*ends) if ends[1] - ends[0] == len(chosen) else tuple(chosen.tolist())
            stem = Path(shards.index.facts.shards[number].name).stem
            pictures = PicturesOfTar(root, split if len(shards.index.splits) > 1 else "", numbers)
            found.append(Unit(f"{stem}-{_mark(shards.marks(chosen))}", pictures))
    return found


class PicturesOfTar(Sequence[Picture]):
    """The images of a tar, each made when it is asked for; another process reads the index again.

    Args:
        root: Folder or address of the shards.
        split: Split of the images, which their names begin with; empty if there is only one.
        rows: Their rows in the index.
    """

    def __init__(self, root: Path, split: str, rows: range | tuple[int, ...]) -> None:
        self.root, self.split, self.rows = root, split, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, position: int) -> Picture: ...
    @overload
    def __getitem__(self, position: slice) -> PicturesOfTar: ...
    def __getitem__(self, position: int | slice) -> Picture | PicturesOfTar:
        if isinstance(position, slice):
            return PicturesOfTar(self.root, self.split, self.rows[position])
        shards, row = _opened(self.root), self.rows[position]
        sample = shards.sample(row)
        # The tar of the masks has the keys of that of the images.
        member = Path(shards.index.files[0].names[row].as_py())
        key = member.with_name(member.name.partition(".")[0])
        return Picture(Input(sample.image_path, key), (Path(self.split) / sample.id).as_posix())


@functools.cache
def _opened(root: Path) -> Shards:
    return open_shards(root, labelled=False)


def marks_match(unit: Unit) -> None:
    """Refuse a unit whose images are not those that it was named after: the data changed since they were listed.

    Raises:
        DataError: D271, they are others.
    """
    pictures = unit.pictures
    if isinstance(pictures, PicturesOfTar):
        marks = _opened(pictures.root).marks(np.asarray(pictures.rows))
        where = pictures.root
    else:
        marks = [(picture.name, picture.key, _state(picture.image.path)) for picture in pictures]
        where = pictures[0].image.path.parent
    if not unit.name.endswith(_mark(marks)):
        raise DataError(
            "D271",
            f"{printable(where)}: the images have changed since they were listed",
            "give the same command again; what is done and has not changed is kept",
        )


def _mark(states: object) -> str:
    return sha256_bytes(repr(states).encode("utf-8", "surrogateescape"))[:_MARK_LENGTH]


def _state(path: Path) -> str:
    """The state of a file; empty if it is inaccessible, which reading it will say."""
    try:
        return state_of_image(path)
    except OSError:
        return ""
