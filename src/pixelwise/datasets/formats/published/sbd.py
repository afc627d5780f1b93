"""Conversion of SBD's masks (Hariharan et al., ICCV 2011) to PNG files beside those of Pascal VOC.

SBD ships MATLAB files whose structure `GTcls` holds the mask in its field `Segmentation`. They are read by scipy, an
optional dependency that is needed for nothing else. Files that would make scipy allocate gigabytes are refused first,
following MathWorks' "MAT-File Level 5 File Format": a file is a header of 128 bytes followed by data elements, each a
tag (type and number of bytes) and its bytes, padded to a multiple of eight; an element may be compressed by zlib, and
a matrix is an element whose bytes are elements again.
"""

from __future__ import annotations

import io
import math
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pixelwise.datasets.layouts.lists.rows import names_in
from pixelwise.errors import DataError, RecipeError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable, write_text, writing
from pixelwise.storage.documents import DocumentError, read_document, read_lines, reading

LoadMat = Callable[..., dict[str, Any]]

# Types of data elements: numeric, matrix, zlib-compressed.
_NUMBERS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
_MATRIX, _PACKED = 14, 15
# Classes of matrices: those that hold matrices (cells, structures, objects), and the number of numeric elements that
# the others hold: characters, sparse matrices with row indices and column pointers, double, single, int8 ... uint64.
_HOLD_MATRICES = (1, 2, 3)
_HELD = {4: 1, 5: 3, **dict.fromkeys(range(6, 16), 1)}
_COMPLEX = 0x0800
# SBD's masks have at most 500x500 pixels, with a boundary for each of 20 classes.
_LARGEST = 16 * 1024 * 1024
_MOST_VARIABLES = 10
_MOST_ELEMENTS = 5000
_MOST_MATRICES = 200
_MOST_DIMENSIONS = 32


def write_augmented(voc: Path, sbd: Path, *, observer: Observer = SILENT) -> tuple[int, int]:
    """Write `SegmentationClassAug/` and `ImageSets/Segmentation/trainaug.txt` into `voc`.

    The list holds SBD's train and val and VOC's train, without VOC's val. An image with a mask in VOC gets that one,
    which is more accurate; all others get SBD's. Existing masks are kept.

    Args:
        voc: Folder of Pascal VOC, `VOCdevkit/VOC2012`.
        sbd: Folder of SBD, `benchmark_RELEASE/dataset`, with `cls/`, `train.txt` and `val.txt`.
        observer: Receives the number of finished masks.

    Returns:
        Number of masks in the folder from SBD, and from VOC.

    Raises:
        DataError: D226, a list or a mask is missing or damaged; the list is not written then.
        RecipeError: R240, a mask has to come from SBD and scipy is not installed.
        ResourceError: S601, the disk is full.
    """
    lists = voc / "ImageSets" / "Segmentation"
    own = {name: _names(lists / f"{name}.txt") for name in ("train", "val")}
    names = {*_names(sbd / "train.txt"), *_names(sbd / "val.txt"), *own["train"]} - set(own["val"])
    target = voc / "SegmentationClassAug"
    target.mkdir(exist_ok=True)
    wanted = sorted(names | set(own["val"]))

    def work(name: str) -> bool:
        """Write the mask of one image; True if it is VOC's."""
        mask = target / f"{name}.png"
        source = voc / "SegmentationClass" / f"{name}.png"
        if not mask.exists() and source.exists():
            with writing(mask) as temporary:
                shutil.copyfile(source, temporary)
        elif not mask.exists():
            labels = read_segmentation(sbd / "cls" / f"{name}.mat")
            with writing(mask) as temporary:
                Image.fromarray(labels).save(temporary, "PNG")
        return source.exists()

    of_voc = 0
    with thread_pool(reading_threads()) as pool:
        for done, is_own in enumerate(pool.map(work, wanted), start=1):
            of_voc += is_own
            observer.progress(done, len(wanted))
    write_text(lists / "trainaug.txt", "".join(f"{name}\n" for name in sorted(names)))
    return len(wanted) - of_voc, of_voc


def read_segmentation(path: Path) -> np.ndarray:
    """Read `GTcls.Segmentation` from a MATLAB file: uint8 (H, W) class ids, 0..20 or 255.

    Raises:
        DataError: D226, the file is missing, damaged, or holds something else.
        RecipeError: R240, scipy is not installed.
    """
    loadmat = _scipy()
    try:
        with reading(path):
            labels = _segmentation(read_document(path, _LARGEST), loadmat)
    except DocumentError as error:
        raise DataError(
            "D226",
            f"{printable(path)}: cannot be read as an SBD mask: {error.reason}",
            "unpack SBD's benchmark.tgz again",
        ) from error
    wrong = sorted(set(np.unique(labels).tolist()) - {*range(21), IGNORE})
    if wrong:
        raise DataError(
            "D226",
            f"{printable(path)}: holds the ids {wrong}; expected 0..20 or 255",
            "unpack SBD's benchmark.tgz again",
        )
    return labels.astype(np.uint8)


def _segmentation(content: bytes, loadmat: LoadMat) -> np.ndarray:
    guarded = _guarded(content)
    try:
        variables = loadmat(io.BytesIO(guarded), variable_names=["GTcls"])
        labels = np.asarray(variables["GTcls"]["Segmentation"].item())
    except Exception as error:  # scipy raises exceptions of many types for damaged files
        raise ValueError(f"no structure GTcls with the matrix Segmentation: {error}") from error
    if labels.ndim != 2 or labels.dtype.kind not in "iuf" or not labels.size:
        raise ValueError(f"Segmentation is {labels.dtype} of shape {labels.shape}; expected a numeric 2D matrix")
    return labels


def _scipy() -> LoadMat:
    """`scipy.io.loadmat`.

    Raises:
        RecipeError: R240, scipy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError as error:
        raise RecipeError(
            "R240",
            "SBD's masks are MATLAB files; reading them needs the package scipy, which is not installed",
            "install it: pip install scipy",
        ) from error
    return loadmat


def _guarded(content: bytes) -> bytes:
    """The file with its data elements decompressed, provided that it is no larger than a mask can be.

    scipy allocates whatever sizes a file declares, and recurses as deep as the file is nested.

    Raises:
        ValueError: The content is not a MATLAB 5 file, is truncated, or holds too much.
    """
    if len(content) < 128 or content[:6] != b"MATLAB" or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("not a MATLAB 5 file")
    if len(content) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST} bytes")
    order = "<" if content[126:128] == b"IM" else ">"
    unpacked, place, starts = bytearray(content[:128]), 128, []
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        end = place + 8 + size
        if end > len(content):
            raise ValueError("the file ends in the middle of an element")
        starts.append(len(unpacked))
        unpacked += _unpacked(content[place + 8 : end]) if kind == _PACKED else content[place:end]
        if len(unpacked) > _LARGEST or len(starts) > _MOST_VARIABLES:
            raise ValueError(f"it holds more than {_LARGEST} bytes or {_MOST_VARIABLES} variables")
        place = end
    whole = bytes(unpacked)
    for start in starts:
        _check_elements(whole, start, order)
    return whole


def _unpacked(data: bytes) -> bytes:
    decoder = zlib.decompressobj()
    unpacked = decoder.decompress(data, _LARGEST)
    if decoder.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {_LARGEST} bytes")
    return unpacked


def _check_elements(data: bytes, place: int, order: str) -> None:
    """Check what scipy does not: the length and nesting of cells and structures, and the types of numeric elements.

    scipy looks up the type of a numeric element in a table without checking that it is there, and crashes. Matrices
    within matrices are not skipped, so all elements are visited in the order in which scipy reads them.

    Args:
        data: Content of the whole file, decompressed.
        place: Position of the first byte of a variable.
        order: Byte order, `<` or `>`.

    Raises:
        ValueError: A limit is exceeded, a type is unknown, or a header is truncated.
    """
    elements = matrices = described = numbers = 0
    while place + 8 <= len(data):
        elements += 1
        if elements > _MOST_ELEMENTS:
            raise ValueError(f"it holds more than {_MOST_ELEMENTS} elements")
        kind, size = struct.unpack_from(f"{order}II", data, place)
        small = kind >> 16  # up to four bytes within the tag
        if described:
            described -= 1
        elif numbers:
            numbers -= 1
            if (kind & 0xFFFF if small else kind) not in _NUMBERS:
                raise ValueError(f"a matrix holds values of the unknown type {kind}")
        elif kind == _MATRIX and size:
            flags, longest = _header(data, place + 8, order)
            matrices += 1
            if matrices > _MOST_MATRICES or not 0 <= longest <= _MOST_MATRICES:
                raise ValueError(f"it holds more than {_MOST_MATRICES} matrices")
            described = 2  # dimensions and name
            numbers = _HELD.get(flags & 0xFF, 0) + bool(flags & _COMPLEX)
            place += 24
            continue
        place += 8 if small else 8 + -(-size // 8) * 8


def _header(data: bytes, place: int, order: str) -> tuple[int, int]:
    """Flags of a matrix, and the number of matrices it holds according to its dimensions."""
    if place + 32 > len(data):
        raise ValueError("the file ends within the header of a matrix")
    # An element with the array flags, then one with the dimensions.
    flags, kind, length = struct.unpack_from(f"{order}8xI4xII", data, place)
    start, count = (place + 20, 1) if kind >> 16 else (place + 24, length // 4)
    if count > _MOST_DIMENSIONS or start + 4 * count > len(data):
        raise ValueError("the dimensions of a matrix are damaged")
    holds_matrices = flags & 0xFF in _HOLD_MATRICES
    return flags, math.prod(struct.unpack_from(f"{order}{count}i", data, start)) if holds_matrices else 0


def _names(file: Path) -> list[str]:
    try:
        # Only the last part of a path is used, so that a list cannot point outside the folders.
        return [name for line in read_lines(file) if line.strip() for name in names_in(line)]
    except DocumentError as error:
        raise DataError("D226", error.message, "unpack the archive that contains it again") from error
