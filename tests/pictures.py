"""Image files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    """Write an array to an image file; returns the file."""
    Image.fromarray(array).save(path, **options)
    return path


def with_orientation(path: Path, stored: np.ndarray, orientation: int) -> Path:
    """Write an array to an image file whose EXIF data says how it is turned; returns the file."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(path, exif=exif)
    return path
