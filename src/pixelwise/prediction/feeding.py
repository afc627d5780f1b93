"""What `Segmenter.predict` takes, as single images: files, folders, patterns, addresses, arrays, Pillow images."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from pixelwise.errors import DataError
from pixelwise.prediction.background import in_background
from pixelwise.prediction.inputs import find_inputs
from pixelwise.prediction.large.choice import InParts
from pixelwise.storage import portable, printable
from pixelwise.storage.downloads import download

OneImage = str | os.PathLike[str] | np.ndarray | Image.Image
"""An image file or its address, an array, or a Pillow image."""
AHEAD = 2
"""Number of files of a folder or pattern that are read ahead of the one being predicted."""
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_BATCH = 4
"""Number of dimensions of an array that holds several images."""


class Fed(NamedTuple):
    """An image that was read.

    Attributes:
        pixels: uint8 (H, W, C); or the file, if it is too large to be decoded whole.
        source: File or address it came from; empty for an image in memory.
    """

    pixels: np.ndarray | InParts
    source: str = ""


Read = Callable[[Path | np.ndarray | Image.Image], np.ndarray | InParts]
"""Reads a file, an array or a Pillow image."""


def is_one(images: object) -> bool:
    """Whether `images` is one image: a file, an address, an array (H, W, C) or a Pillow image.

    Raises:
        ValueError: It is neither an image nor anything that holds images.
    """
    if isinstance(images, np.ndarray):
        return images.ndim != _BATCH
    if isinstance(images, Image.Image):
        return True
    if isinstance(images, (str, os.PathLike)):
        return _is_address(images) or not _is_several(Path(images))
    if isinstance(images, Iterable) and not hasattr(images, "dtype"):
        return False
    raise ValueError(
        f"the image is a {type(images).__module__}.{type(images).__qualname__}; expected a file, a folder, an array "
        "uint8 (H, W, C) or (B, H, W, C), a Pillow image, or several of them"
    )


def read_one(image: OneImage, read: Read) -> Fed:
    """Read one image; an address is downloaded to a temporary file.

    Args:
        image: The image.
        read: Reads the image.

    Raises:
        DataError: D120, an address leads to an image that is too large to be decoded whole; D223, there is no such
            file; D250, it cannot be downloaded; others that `read` raises.
    """
    if isinstance(image, (np.ndarray, Image.Image)):
        return Fed(read(image), getattr(image, "filename", ""))
    text = os.fspath(image)
    if not _is_address(text):
        return Fed(read(Path(text)), text)
    with tempfile.TemporaryDirectory() as folder:
        name = Path(urlsplit(text).path).name
        found = read(download(text, Path(folder) / portable(name or "image")).path)
    if isinstance(found, InParts):
        raise DataError(
            "D120",
            f"{printable(text)}: {found.reason}",
            "download it and give the file, which is then predicted in parts",
        )
    return Fed(found, text)


def each(images: Iterable[OneImage] | OneImage, read: Read) -> Iterator[Fed]:
    """Read several images one after another; files of folders and patterns are read in the background.

    Args:
        images: What `is_one` does not take for one image; what it holds may again be folders or batches.
        read: As for `read_one`.

    Raises:
        DataError: D131, a part of a folder cannot be read; D223, a folder or pattern holds no image; others as
            `read_one`.
    """
    if isinstance(images, (str, os.PathLike)):
        yield from _files(images, read)
        return
    for one in images:  # type: ignore[union-attr]  # an array or an iterable
        if is_one(one):
            yield read_one(one, read)  # type: ignore[arg-type]
        else:
            yield from each(one, read)


def _files(path: str | os.PathLike[str], read: Read) -> Generator[Fed, None, None]:
    found = find_inputs([path], [])
    for problem in found.problems:
        raise DataError(problem.code, problem.message, problem.fix)
    files = [one.path for one in found.images]
    with contextlib.closing(in_background(lambda file: Fed(read(file), os.fspath(file)), files, ahead=AHEAD)) as all:
        yield from all


def _is_address(text: str | os.PathLike[str]) -> bool:
    return bool(_ADDRESS.match(os.fspath(text)))


def _is_several(path: Path) -> bool:
    """Whether a path is a folder or a pattern, or nothing at all, which finding its images explains."""
    if path.is_dir():
        return True
    return not os.path.lexists(path) and glob.has_magic(os.fspath(path))


def way_out(image: np.ndarray, channels: int) -> str:
    """How an array becomes one that a network of that many channels takes, as the end of a sentence."""
    if image.ndim == 3 and image.shape[0] == channels != image.shape[2]:
        return ": move the channels to the end, image.transpose(1, 2, 0)"
    if channels == 3 and (image.ndim == 2 or image.shape[2:] == (1,)):
        return ": repeat the grey channel, np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)"
    if channels == 3 and image.shape[2:] == (4,):
        return ": give Image.fromarray(image), whose transparency is treated as that of files"
    if image.dtype != np.uint8:
        return ": scale the values to 0..255 as data.input_range does for files, and convert them to uint8"
    return ""
