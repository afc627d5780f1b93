"""The masks of SBD (Hariharan et al., ICCV 2011) as PNG files beside those of Pascal VOC.

SBD ships MATLAB files. Only what they hold is read here: the field `Segmentation` of the structure `GTcls`, after
MathWorks' published description "MAT-File Level 5 File Format". A file is a header of 128 bytes and data
elements, each a tag (type and number of bytes) and its bytes, padded to a multiple of eight; an element may be
packed by zlib, and a matrix is an element whose bytes are elements again.
"""

from __future__ import annotations

import math
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pixelwise.errors import DataError
from pixelwise.machine.threads import reading_threads
from pixelwise.recipes.classes.tables import IGNORE
from pixelwise.storage import printable, write_text, writing

Progress = Callable[[int, int], None]

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _PACKED = 14, 15
_STRUCT_CLASS = 2
# double, single, int8 ... uint64: classes whose values follow directly.
_NUMERIC_CLASSES = range(6, 16)
_LARGEST = 100_000_000


class _Element(NamedTuple):
    """The type and bytes of a data element."""

    kind: int
    data: bytes


def write_augmented(voc: Path, sbd: Path, *, progress: Progress | None = None) -> tuple[int, int]:
    """Write `SegmentationClassAug/` and `ImageSets/Segmentation/trainaug.txt` into `voc`.

    The list holds SBD's train and val and VOC's train, without VOC's val. An image of which VOC has a mask gets
    VOC's, which is drawn more exactly; all others get SBD's. Masks that exist already stay.

    Args:
        voc: `VOCdevkit/VOC2012`.
        sbd: `benchmark_RELEASE/dataset`, with `cls/`, `train.txt` and `val.txt`.
        progress: Called with (masks done, masks in total).

    Returns:
        Masks of SBD and masks of VOC in the folder.

    Raises:
        DataError: D226, a list or a mask is missing or damaged. No list is written then.
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
            if progress is not None:
                progress(done, len(wanted))
    write_text(lists / "trainaug.txt", "".join(f"{name}\n" for name in sorted(names)))
    return len(wanted) - of_voc, of_voc


def read_segmentation(path: Path) -> np.ndarray:
    """`GTcls.Segmentation` of a MATLAB file: uint8 (H, W) class ids, 0..20 or 255.

    Raises:
        DataError: D226, the file is missing, damaged, or holds something else.
    """
    try:
        labels = _segmentation(path.read_bytes())
    except (OSError, ValueError, struct.error, zlib.error, IndexError) as error:
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


def _segmentation(content: bytes) -> np.ndarray:
    if len(content) < 128 or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("no MATLAB 5 file")
    order = "<" if content[126:128] == b"IM" else ">"
    for element in _elements(content[128:], order):
        if element.kind == _PACKED:
            element = next(_elements(_unpack(element.data), order), element)
        if element.kind == _MATRIX:
            name, value = _matrix(element.data, order)
            if name == "GTcls":
                found = _field(value, "Segmentation", order)
                return _numbers(found, order)
    raise ValueError("it holds no GTcls")


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    """The data elements in `data`, one after the other."""
    place = 0
    while place + 8 <= len(data):
        (word,) = struct.unpack_from(f"{order}I", data, place)
        if word >> 16:  # the small form: up to four bytes within the tag
            kind, size, start, following = word & 0xFFFF, word >> 16, place + 4, place + 8
            if size > 4:
                raise ValueError("a tag is damaged")
        else:
            (size,) = struct.unpack_from(f"{order}I", data, place + 4)
            kind, start = word, place + 8
            # Packed elements are not padded.
            following = start + size if kind == _PACKED else start + -(-size // 8) * 8
        if start + size > len(data):
            raise ValueError("the file ends in the middle of an element")
        yield _Element(kind, data[start : start + size])
        place = following


def _unpack(data: bytes) -> bytes:
    decoder = zlib.decompressobj()
    unpacked = decoder.decompress(data, _LARGEST)
    if decoder.unconsumed_tail:
        raise ValueError(f"an element unpacks to more than {_LARGEST} bytes")
    return unpacked


class _Value(NamedTuple):
    """A matrix: its class, its size, and the elements after its name."""

    kind: int
    shape: tuple[int, ...]
    parts: list[_Element]


def _matrix(data: bytes, order: str) -> tuple[str, _Value]:
    flags, dimensions, name, *parts = _elements(data, order)
    (word,) = struct.unpack_from(f"{order}I", flags.data)
    shape = tuple(np.frombuffer(dimensions.data, f"{order}i4").tolist())
    return name.data.decode("ascii", "replace"), _Value(word & 0xFF, shape, parts)


def _field(value: _Value, wanted: str, order: str) -> _Value:
    """A field of a structure of one element."""
    if value.kind != _STRUCT_CLASS or math.prod(value.shape) != 1:
        raise ValueError("GTcls is no single structure")
    length_part, names_part, *fields = value.parts
    (length,) = struct.unpack_from(f"{order}i", length_part.data)
    names = [
        names_part.data[start : start + length].split(b"\0")[0].decode("ascii", "replace")
        for start in range(0, len(names_part.data), max(1, length))
    ]
    if wanted not in names or len(fields) < len(names):
        raise ValueError(f"GTcls has no field {wanted}")
    return _matrix(fields[names.index(wanted)].data, order)[1]


def _numbers(value: _Value, order: str) -> np.ndarray:
    """(H, W) of a full matrix of numbers; MATLAB stores column after column."""
    if value.kind not in _NUMERIC_CLASSES or len(value.shape) != 2 or not value.parts:
        raise ValueError("Segmentation is no matrix of numbers")
    element = value.parts[0]
    if element.kind not in _NUMBERS:
        raise ValueError(f"Segmentation holds numbers of an unknown type ({element.kind})")
    numbers = np.frombuffer(element.data, f"{order}{_NUMBERS[element.kind]}")
    if min(value.shape) < 1 or numbers.size != math.prod(value.shape):
        raise ValueError(f"Segmentation has {numbers.size} numbers; expected {value.shape}")
    return numbers.reshape(value.shape, order="F")


def _names(file: Path) -> list[str]:
    try:
        # Only the last part of a name counts, so that a list cannot lead out of the folders.
        return [Path(line.split()[0]).stem for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "D226", f"{printable(file)}: cannot be read: {error}", "unpack the archive that it is part of again"
        ) from error
