"""The masks of SBD (Hariharan et al., ICCV 2011) as PNG files beside those of Pascal VOC.

SBD ships MATLAB files, whose structure `GTcls` has the mask as its field `Segmentation`. scipy reads them; it is
needed for nothing else, so it is installed by those who need it. What would let scipy allocate gigabytes is refused
before, after MathWorks' "MAT-File Level 5 File Format": a file is a header of 128 bytes and data elements, each a tag
(type and number of bytes) and its bytes, padded to a multiple of eight; an element may be packed by zlib, and a matrix
is an element whose bytes are elements again.
"""

from __future__ import annotations

import io
import math
import shutil
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pixelwise.datasets.layouts.named_images import file_name
from pixelwise.errors import DataError, RecipeError
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.classes.tables import IGNORE
from pixelwise.storage import printable, write_text, writing

LoadMat = Callable[..., dict[str, Any]]

# Types of data elements.
_NUMBERS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
_MATRIX, _PACKED = 14, 15
# Classes of matrices: those that hold matrices (cells, structures, objects), and how many elements of numbers the
# others hold: characters, sparse matrices with row indices and column pointers, double, single, int8 ... uint64.
_HOLD_MATRICES = (1, 2, 3)
_HELD = {4: 1, 5: 3, **dict.fromkeys(range(6, 16), 1)}
_COMPLEX = 0x0800
# Masks of SBD are of up to 500x500 pixels, with a boundary for each of 20 classes.
_LARGEST = 16 * 1024 * 1024
_MOST_VARIABLES = 10
_MOST_ELEMENTS = 5000
_MOST_MATRICES = 200
_MOST_DIMENSIONS = 32


def write_augmented(voc: Path, sbd: Path, *, observer: Observer = SILENT) -> tuple[int, int]:
    """Write `SegmentationClassAug/` and `ImageSets/Segmentation/trainaug.txt` into `voc`.

    The list holds SBD's train and val and VOC's train, without VOC's val. An image of which VOC has a mask gets
    VOC's, which is drawn more exactly; all others get SBD's. Masks that exist already stay.

    Args:
        voc: The folder `VOCdevkit/VOC2012`.
        sbd: The folder `benchmark_RELEASE/dataset`, with `cls/`, `train.txt` and `val.txt`.
        observer: Told how many masks are done.

    Returns:
        Masks of SBD and masks of VOC in the folder.

    Raises:
        DataError: D226, a list or a mask is missing or damaged. No list is written then.
        RecipeError: R240, a mask is SBD's, and scipy is not installed.
        ResourceError: S601, the disk is full.
    """
    lists = voc / "ImageSets" / "Segmentation"
    own = {name: _names(lists / f"{name}.txt") for name in ("train", "val")}
    names = {*_names(sbd / "train.txt"), *_names(sbd / "val.txt"), *own["train"]} - set(own["val"])
    target = voc / "SegmentationClassAug"
    target.mkdir(exist_ok=True)
    wanted = sorted(names | set(own["val"]))

    def work(name: str) -> bool:
        """Whether the mask is VOC's."""
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
    with ThreadPoolExecutor(reading_threads()) as pool:
        for done, is_own in enumerate(pool.map(work, wanted), start=1):
            of_voc += is_own
            observer.progress(done, len(wanted))
    write_text(lists / "trainaug.txt", "".join(f"{name}\n" for name in sorted(names)))
    return len(wanted) - of_voc, of_voc


def read_segmentation(path: Path) -> np.ndarray:
    """`GTcls.Segmentation` of a MATLAB file: uint8 (H, W) class ids, 0..20 or 255.

    Raises:
        DataError: D226, the file is missing, damaged, or holds something else.
        RecipeError: R240, scipy is not installed.
    """
    loadmat = _scipy()
    try:
        with open(path, "rb") as stream:
            labels = _segmentation(stream.read(_LARGEST + 1), loadmat)
    except (OSError, ValueError, zlib.error) as error:
        raise DataError(
            "D226",
            f"{printable(path)}: cannot be read as a mask of SBD: {error}",
            "unpack SBD's benchmark.tgz again",
        ) from error
    wrong = sorted(set(np.unique(labels).tolist()) - {*range(21), IGNORE})
    if wrong:
        raise DataError(
            "D226", f"{printable(path)}: holds the ids {wrong}; expected 0..20", "unpack SBD's benchmark.tgz again"
        )
    return labels.astype(np.uint8)


def _segmentation(content: bytes, loadmat: LoadMat) -> np.ndarray:
    guarded = _guarded(content)
    try:
        variables = loadmat(io.BytesIO(guarded), variable_names=["GTcls"])
        labels = np.asarray(variables["GTcls"]["Segmentation"].item())
    except Exception as error:  # scipy passes on whatever damage makes its parts raise
        raise ValueError(f"no structure GTcls with the matrix Segmentation: {error}") from error
    if labels.ndim != 2 or labels.dtype.kind not in "iuf" or not labels.size:
        raise ValueError(f"Segmentation is {labels.dtype} of shape {labels.shape}; expected a matrix of numbers")
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
            "reading the masks of SBD, which are MATLAB files, needs the package scipy, which is not installed",
            "install it: pip install scipy",
        ) from error
    return loadmat


def _guarded(content: bytes) -> bytes:
    """The file with its data elements unpacked, if reading it takes no more memory than a mask may.

    scipy allocates what a file says that it holds, and descends as deep as the file is nested.

    Raises:
        ValueError: It is no MATLAB 5 file, is cut off, or holds too much.
    """
    if len(content) < 128 or content[:6] != b"MATLAB" or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("no MATLAB 5 file")
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
    """Refuse what scipy trusts: the length of cells and structures, how deep they are nested, and types of numbers.

    scipy looks up the type of a matrix's numbers in a table without asking whether it is in there, and crashes.
    Matrices within matrices are not skipped, so all elements pass in the order in which scipy reads them.

    Args:
        data: The whole file, unpacked.
        place: Position of the first byte of a variable.
        order: `<` or `>`, of bytes.

    Raises:
        ValueError: There is such a thing, or a header is cut off.
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
                raise ValueError(f"a matrix holds numbers of the unknown type {kind}")
        elif kind == _MATRIX and size:
            flags, longest = _header(data, place + 8, order)
            matrices += 1
            if matrices > _MOST_MATRICES or not 0 <= longest <= _MOST_MATRICES:
                raise ValueError(f"it holds more than {_MOST_MATRICES} matrices")
            described = 2  # its size and its name
            numbers = _HELD.get(flags & 0xFF, 0) + bool(flags & _COMPLEX)
            place += 24
            continue
        place += 8 if small else 8 + -(-size // 8) * 8


def _header(data: bytes, place: int, order: str) -> tuple[int, int]:
    """The flags of a matrix, and how many matrices it holds by its size."""
    if place + 32 > len(data):
        raise ValueError("the file ends within the header of a matrix")
    # An element of two flags, then one of the size.
    flags, kind, length = struct.unpack_from(f"{order}8xI4xII", data, place)
    start, count = (place + 20, 1) if kind >> 16 else (place + 24, length // 4)
    if count > _MOST_DIMENSIONS or start + 4 * count > len(data):
        raise ValueError("the size of a matrix is damaged")
    holds_matrices = flags & 0xFF in _HOLD_MATRICES
    return flags, math.prod(struct.unpack_from(f"{order}{count}i", data, start)) if holds_matrices else 0


def _names(file: Path) -> list[str]:
    try:
        # Only the last part of a name counts, so that a list cannot lead out of the folders.
        return [Path(file_name(line.split()[0])).stem for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "D226", f"{printable(file)}: cannot be read: {error}", "unpack the archive that it is part of again"
        ) from error
