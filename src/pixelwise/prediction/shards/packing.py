"""The tar of a unit, and the names of the files in it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.shards.tars import MASK, TarWriter
from pixelwise.prediction.annotation_files import POLYGONS
from pixelwise.prediction.large.probabilities import PROBABILITIES
from pixelwise.prediction.outcomes import MASKS, OVERLAYS, class_folders
from pixelwise.prediction.shards.commits import WrittenFile

ROLES = {MASKS: MASK, OVERLAYS: "overlay", POLYGONS: "polygons", PROBABILITIES: "probabilities"}
"""Folder of a prediction -> what its files are called in a tar, between the key and the ending."""
_MARK_LENGTH = 12


class Packed(NamedTuple):
    """A tar that is complete.

    Attributes:
        file: The file.
        size: Its size in bytes.
        mark: Hexadecimal digits that change with its content.
    """

    file: Path
    size: int
    mark: str


class Packer:
    """Moves the files of predictions into a tar, image by image.

    Args:
        folder: Folder of the prediction; the tar is written beside its folders.
        classes: Classes of a multi-label network, whose masks have a folder each; empty for another.
    """

    def __init__(self, folder: Path, classes: tuple[str, ...] = ()) -> None:
        self._folder, self._writer = folder, TarWriter(folder, sys.maxsize)
        self._class_folders = class_folders(classes)
        self._digest = hashlib.sha256()

    def add(self, key: str, files: Sequence[str]) -> dict[str, WrittenFile]:
        """Move the files of an image into the tar.

        Args:
            key: Key of the image, which its files are named by.
            files: The files, relative to the folder of the prediction.

        Returns:
            Role -> the file in the tar.
        """
        roles = [self._role(file, key) for file in files]
        contents = [(self._folder / file).read_bytes() for file in files]
        names = [f"{key}.{role}" for role in roles]
        _, placed = self._writer.add(MASKS, list(zip(names, contents, strict=True)))
        found = {}
        for role, file, place in zip(roles, files, placed, strict=True):
            if place is None:
                raise AssertionError  # every file has content
            self._digest.update(f"{place.name}\0{place.sha256.hex()}\n".encode("utf-8", "surrogateescape"))
            found[role] = WrittenFile(place.name, place.offset, place.size, place.sha256.hex())
            (self._folder / file).unlink()
        return found

    def finish(self) -> Packed | None:
        """Complete the tar; None if nothing was added."""
        self._writer.close()
        if not self._writer.shards:
            return None
        written = self._writer.shards[0]
        return Packed(self._folder / written.name, written.size, self._digest.hexdigest()[:_MARK_LENGTH])

    def abandon(self) -> None:
        """Close the tar, which stays incomplete."""
        self._writer.abandon()

    def _role(self, file: str, key: str) -> str:
        """What a file is called after its key: `mask.png`, `mask.3.png` for a class, `overlay.jpg`."""
        folder, _, name = file.partition("/")
        role = ROLES[folder]
        if folder == MASKS and self._class_folders:
            of_class, _, name = name.partition("/")
            role = f"{role}.{self._class_folders.index(of_class)}"
        return role + name.removeprefix(key)
