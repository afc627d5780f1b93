"""Thumbnails of the images of a split, made while they are scored."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.prediction.overlays import as_picture
from pixelwise.recipes.sizes import Size
from pixelwise.records.details import thumbnail_name
from pixelwise.storage import writing
from pixelwise.transforms.resizing import resize_image

WIDTH = 160
"""Width in pixels; a picture that is higher than wide has this height instead."""
QUALITY = 60
_IN_MEMORY = 8 * 1024**2


class Thumbnails:
    """A ZIP archive of small WebP pictures. Beyond 8 MB it grows on disk, so memory does not grow with the split."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed by `close`)
        self._opened: zipfile.ZipFile | None = None

    @property
    def _archive(self) -> zipfile.ZipFile:
        """The archive, which is begun if it is not open."""
        if self._opened is None:
            self._opened = zipfile.ZipFile(self._file, "w")
        return self._opened

    def __enter__(self) -> Thumbnails:
        """The archive, open for pictures."""
        return self

    def __exit__(self, *_: object) -> None:
        """Throw away what was not saved."""
        if self._opened is not None:
            self._opened.close()
        self._file.close()

    def add(self, index: int, image: np.ndarray, shown: Size) -> None:
        """Add the picture of an image.

        Args:
            index: Position of the image in the split.
            image: The image, uint8 (h, w, C).
            shown: (height, width) whose proportions the picture gets: those of the labels.
        """
        scale = WIDTH / max(shown)
        size = (max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale)))
        stream = io.BytesIO()
        Image.fromarray(resize_image(as_picture(image), size)).save(stream, "WEBP", quality=QUALITY, method=2)
        # A ZipInfo has a fixed date: the same images give the same file.
        self._archive.writestr(zipfile.ZipInfo(thumbnail_name(index)), stream.getvalue())

    def taken(self) -> list[tuple[str, bytes]]:
        """All pictures so far with their names, which are taken out."""
        if self._opened is None:
            return []
        self._opened.close()
        self._opened = None
        with zipfile.ZipFile(self._file) as archive:
            found = [(name, archive.read(name)) for name in archive.namelist()]
        self._file.seek(0)
        self._file.truncate()
        return found

    def put(self, pictures: Sequence[tuple[str, bytes]]) -> None:
        """Add pictures that were taken out of other archives, in the order of their numbers."""
        for name, content in sorted(pictures, key=lambda one: (len(one[0]), one[0])):
            self._archive.writestr(zipfile.ZipInfo(name), content)

    def save(self, path: Path) -> None:
        """Complete the archive and write it; nothing can be added afterwards.

        Raises:
            ResourceError: S601, the disk is full.
        """
        self._archive.close()
        self._file.seek(0)
        with writing(path) as temporary, open(temporary, "wb") as file:
            shutil.copyfileobj(self._file, file)
