"""A mask as an editor sees it: what is stored in each pixel, what that means, and what each class is painted with.

Only painted pixels change. A value without a meaning, one of several values of a class, or an instance of another
program's making stays in every pixel that nobody paints over, and undoing brings it back.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pixelwise.datasets.labels import LabelTable, color_code, color_codes, parse_color
from pixelwise.datasets.reading.decoding import decode
from pixelwise.datasets.reading.mask_values import RawMask, load_mask
from pixelwise.datasets.reading.masks import translate
from pixelwise.datasets.reading.orientation import png_orientation
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import PixelwiseError
from pixelwise.pages.fixing.png import GREY, PALETTE, RGB, Coding, NotPlain, coding_of, encoded
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.stores.members import in_memory

MOST_PIXELS = 1 << 25
"""Pixels of the largest mask that is edited: a browser holds it several times."""
_MOST_COLORS = 256
UNKNOWN = -1
"""Meaning of a value that the data set does not name."""


class Uneditable(Exception):
    """A mask that is not edited, or a change that is not made; the text is one or two sentences that say why."""


class Mask(NamedTuple):
    """A mask file.

    Attributes:
        content: The file.
        version: Its SHA-256, hexadecimal.
        coding: How it stores its pixels.
        stored: What is stored in each pixel (H, W): uint8 or uint16 numbers, or int32 colours `0xrrggbb`.
        meanings: Every stored value that occurs -> class id, 255 (ignored) or `UNKNOWN`.
        paints: Class id or 255 -> the value that is stored where it is painted; classes that the file cannot store
            are missing.
        colors: Colours that a palette has to have more for `paints`, in the order of their indices, as `0xrrggbb`.
    """

    content: bytes
    version: str
    coding: Coding
    stored: np.ndarray
    meanings: dict[int, int]
    paints: dict[int, int]
    colors: tuple[int, ...] = ()


def open_mask(content: bytes, path: Path, dataset: Dataset) -> Mask:
    """A mask that is about to be edited.

    Args:
        content: The file.
        path: Its path.
        dataset: Its data set, whose label table gives the meaning of the values.

    Raises:
        Uneditable: It is stored in a way that is not edited.
        PixelwiseError: It cannot be read at all.
    """
    where = printable(path.name)
    refused = refusal(dataset)
    if refused:
        raise Uneditable(refused)
    try:
        coding = coding_of(content)
    except NotPlain as reason:
        raise Uneditable(f"{where} {reason}. PNG files of class ids, palette indices or colours are edited.") from None
    member = in_memory(path, content)
    most = min(dataset.reading.max_pixels, MOST_PIXELS)
    raw = load_mask(member, dataset.label_table, max_pixels=most, exif="ignore")
    if png_orientation(io.BytesIO(content)) != 1:
        raise Uneditable(f"{where} states an orientation. Save it upright, without one, to edit it.")
    stored = _stored_in(raw, coding, dataset.label_table)
    if stored is None:
        stored = _stored(decode(member, max_pixels=most).image, coding)
    distinct = _distinct(stored)
    meanings = _meanings(distinct, raw, dataset.label_table)
    paints, colors = _paints(distinct, meanings, raw, coding, dataset)
    return Mask(content, sha256_bytes(content), coding, stored, meanings, paints, colors)


def refusal(dataset: Dataset) -> str:
    """Why no mask of a data set is edited; empty if they are."""
    table = dataset.label_table
    if table.divisor is not None:
        return "The masks tell instances apart, which a brush for classes would merge. They are not edited."
    if table.from_alpha:
        return "The masks are read from their transparency, which is not edited."
    if table.tolerance is not None:
        return "The masks are read with a tolerance for values that no class has. Save them with exact values first."
    return ""


def repainted(mask: Mask, runs: np.ndarray, path: Path, dataset: Dataset, more: frozenset[int] = frozenset()) -> Mask:
    """A mask with other values in some pixels; the same one if none changes.

    Args:
        mask: The mask.
        runs: int64 (n, 3): first pixel, counted row by row, number of pixels, and the value to store; of several that
            meet, the last one counts.
        path: Its path.
        dataset: Its data set.
        more: Values that may be stored beside those of the mask and of the classes: those of the kept original.

    Raises:
        Uneditable: A run lies outside the mask, a value is none of the data set, or the file would be read otherwise.
    """
    known = {*mask.meanings, *mask.paints.values(), *more}
    first, length, value = runs.T
    if len(runs) and (length.min() < 1 or first.min() < 0 or (first + length).max() > mask.stored.size):
        raise Uneditable("The change lies outside the mask.")
    strange = sorted(set(np.unique(value).tolist()) - known)
    if strange:
        raise Uneditable(f"The value {strange[0]} belongs to no class of the data set, and does not occur in the mask.")
    if int(length.sum()) > 4 * mask.stored.size:
        raise Uneditable("The change paints the mask more than four times over.")
    places = np.arange(int(length.sum())) + np.repeat(first - (np.cumsum(length) - length), length)
    stored = mask.stored.copy()
    stored.flat[places] = np.repeat(value, length).astype(stored.dtype)
    if np.array_equal(stored, mask.stored):
        return mask
    new = open_mask(encoded(_wide_enough(mask, stored), stored), path, dataset)
    if not np.array_equal(new.stored, stored) or any(
        new.meanings[one] != meaning for one, meaning in _known_meanings(mask).items() if one in new.meanings
    ):
        raise Uneditable("With this change, the data set would read other pixels of the mask differently.")
    return new


def filled(mask: Mask, size: Size, value: int, path: Path, dataset: Dataset) -> Mask:
    """A mask of a size that stores one value everywhere, in the way of another mask.

    Args:
        mask: The other mask.
        size: (height, width).
        value: One of the values that it knows.
        path: Its path.
        dataset: Its data set.
    """
    stored = np.full(size, value, mask.stored.dtype)
    return open_mask(encoded(_wide_enough(mask, stored), stored), path, dataset)


def _known_meanings(mask: Mask) -> dict[int, int]:
    return {**{value: class_id for class_id, value in mask.paints.items()}, **mask.meanings}


def _wide_enough(mask: Mask, stored: np.ndarray) -> Coding:
    """The coding of a mask; more bits, or more colours of its palette, if the values need them."""
    coding, largest = mask.coding, int(stored.max())
    if coding.kind != RGB and largest >> coding.depth:
        coding = coding._replace(depth=8)
    if coding.kind == PALETTE and largest >= len(coding.palette):
        whole = [*map(tuple, coding.palette.tolist()), *((one >> 16, one >> 8 & 255, one & 255) for one in mask.colors)]
        coding = coding.with_palette(np.array(whole[: largest + 1], np.uint8))
    return coding


class _Distinct(NamedTuple):
    """The values that occur, in rising order, with the place of a pixel of each and their numbers of pixels."""

    values: np.ndarray
    places: np.ndarray
    counts: np.ndarray


def _distinct(stored: np.ndarray) -> _Distinct:
    """The values that occur in a mask. Neighbours are mostly equal: only the beginnings of runs are sorted."""
    flat = stored.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size)
    values, first, inverse = np.unique(flat[starts], return_index=True, return_inverse=True)
    return _Distinct(values, starts[first], np.bincount(inverse, lengths).astype(np.int64))


def _stored_in(raw: RawMask, coding: Coding, table: LabelTable) -> np.ndarray | None:
    """The stored values, where the data set's reading has not interpreted them; None where it has."""
    by_color = bool(table.colors) and not table.ids
    if table.threshold is not None or (by_color and coding.kind != RGB):
        return None
    if coding.kind == RGB:
        return raw.values.astype(np.int32) * 0x010101 if raw.values.ndim == 2 else color_codes(raw.values)
    return raw.values.astype(np.uint16 if coding.depth == 16 else np.uint8)


def _stored(image: Image.Image, coding: Coding) -> np.ndarray:
    """The values of a decoded file, as they are stored."""
    if coding.kind == RGB:
        return color_codes(np.asarray(image.convert("RGB")))
    values = np.asarray(image)
    if coding.depth == 16:
        return values.astype(np.uint16)
    values = values.astype(np.uint8)
    # Pillow stretches grey values of few bits, except those of one.
    stretched = coding.kind == GREY and 1 < coding.depth < 8
    return values // np.uint8(255 // ((1 << coding.depth) - 1)) if stretched else values


def _meanings(distinct: _Distinct, raw: RawMask, table: LabelTable) -> dict[int, int]:
    """Every value that occurs -> what the data set's own reading makes of it."""
    translation = translate(raw, table)
    read = raw.values.reshape(-1, *raw.values.shape[2:])[distinct.places]
    codes = read if read.ndim == 1 else color_codes(read[None])[0]
    unknown = {*translation.unknown_ids, *translation.unknown_colors}
    if table.threshold is not None and raw.values.ndim == 2:
        codes = codes >= table.threshold
    labels = translation.labels.reshape(-1)[distinct.places].tolist()
    return {
        value: UNKNOWN if code in unknown and label == IGNORE else label
        for value, code, label in zip(distinct.values.tolist(), codes.tolist(), labels, strict=True)
    }


def _paints(
    distinct: _Distinct, meanings: dict[int, int], raw: RawMask, coding: Coding, dataset: Dataset
) -> tuple[dict[int, int], tuple[int, ...]]:
    """What each class is painted with: the value that it has most often in this file, or else a value it could have."""
    table = dataset.label_table
    wanted = [*range(len(dataset.classes)), IGNORE]
    paints: dict[int, int] = {}
    for value in distinct.values[np.argsort(-distinct.counts, kind="stable")].tolist():
        paints.setdefault(meanings[value], value)
    paints = {class_id: value for class_id, value in paints.items() if class_id in wanted}
    by_color = bool(table.colors) and not table.ids
    for depth in (
        (coding.depth, 8) if coding.depth < 8 and not by_color and table.threshold is None else (coding.depth,)
    ):
        for value, meaning in _probed(coding._replace(depth=depth), raw, table).items():
            if meaning in wanted:
                paints.setdefault(meaning, value)
    colors: list[int] = []
    if coding.kind == PALETTE:
        colors = _further_colors(coding, paints, dataset, by_color)
    return dict(sorted(paints.items())), tuple(colors)


def _further_colors(coding: Coding, paints: dict[int, int], dataset: Dataset, by_color: bool) -> list[int]:
    """Colours that a palette lacks for the classes; `paints` is completed by classes that are told by their colour."""
    size = len(coding.palette)
    if by_color:
        missing = {class_id: text for text, class_id in reversed(dataset.label_table.colors.items())}
        added = [(one, color_code(parse_color(text))) for one, text in sorted(missing.items()) if one not in paints]
        added = added[: max(0, _MOST_COLORS - size)]
        paints.update({class_id: size + place for place, (class_id, _) in enumerate(added)})
        return [color for _, color in added]
    shown = {value: color_code(dataset.palette[one]) for one, value in paints.items() if one < len(dataset.palette)}
    return [shown.get(index, 0) for index in range(size, max(paints.values(), default=0) + 1)]


def _probed(coding: Coding, raw: RawMask, table: LabelTable) -> dict[int, int]:
    """Values that a file could store -> their meaning; the preferred ones first. The data's own reading tells it."""
    if coding.kind == RGB:
        grey = [value * 0x010101 for value in sorted(table.ids) if 0 <= value < 256]
        values = grey if raw.grey_rgb or not table.colors else [color_code(parse_color(one)) for one in table.colors]
        if table.threshold is not None:
            values = [0, 0xFFFFFF]
        # One colour, so that the others are not taken for numbers where the file's are not.
        row = [*values, *([] if raw.grey_rgb else [0x010203])]
    elif coding.depth == 16:
        values = row = [value for value in sorted(table.ids) if 0 <= value < 65536]
    elif table.threshold is not None and coding.kind == GREY:
        values = row = [0, (1 << coding.depth) - 1]
    else:
        values = row = list(range(1 << coding.depth))
    if coding.kind == PALETTE and table.ids and table.threshold is None:
        coding = coding.with_palette(np.zeros((1 << coding.depth, 3), np.uint8))
    elif coding.kind == PALETTE:
        values = row = values[: len(coding.palette)]
    if not row:
        return {}
    probe = np.array([row], np.int32 if coding.kind == RGB else np.uint16 if coding.depth == 16 else np.uint8)
    try:
        content = encoded(coding.opaque(), probe)
        read = load_mask(in_memory(Path("probe.png"), content), table, max_pixels=1 << 20, exif="ignore")
    except PixelwiseError:  # it could not be read: nothing is known, and nothing is painted
        return {}
    found = _meanings(_distinct(probe), read, table)
    return {value: found[value] for value in dict.fromkeys(values)}
