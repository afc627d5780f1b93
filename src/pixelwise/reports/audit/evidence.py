"""Pictures of what a check found: the files of a finding, photo beside mask, with the wrong places marked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pixelwise.datasets.auditing.checking import Checked
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.labels import LabelTable, color_codes
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.mask_values import RawMask
from pixelwise.datasets.reading.masks import load_mask
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.prediction.overlays import as_picture
from pixelwise.recipes.class_sets.tables import IGNORE, voc_color
from pixelwise.storage import printable
from pixelwise.transforms.resizing import resize_image

SHOWN = 3
"""A finding is shown in at most this many of its files."""
MARKS = 6
"""At most this many places are marked in a picture, the largest first."""
SIDE = 320
"""Longest side of a picture in pixels."""
_MARK = (255, 0, 80)
_MARGIN = 3
_SCATTERED = 0.25
"""Wrong pixels in so large a share of a mask are everywhere; frames around them would say nothing."""


class Exhibit(NamedTuple):
    """The files of one pair, as pictures uint8 (h, w, 3) of at most `SIDE` pixels.

    Attributes:
        file: The file that the finding names, as it names it.
        photo: The image; None if there is none or it cannot be read.
        mask: The values of the mask file as colours; None if there is none or it cannot be read.
        marked: Number of marked places.
    """

    file: str
    photo: np.ndarray | None
    mask: np.ndarray | None
    marked: int = 0


def exhibits(checked: Checked, finding: Finding) -> list[Exhibit]:
    """Pictures of the first files of a finding; files that show nothing are passed over.

    Args:
        checked: The result of the check.
        finding: One of its findings.
    """
    dataset = checked.dataset
    pairs, data = _pairs_by_file(dataset), checked.recipe.data
    inferred = data.label_map is None and data.colors is None
    found = (_exhibit(dataset, file, pairs.get(file), inferred) for file in finding.files[:SHOWN])
    return [one for one in found if one.photo is not None or one.mask is not None]


def values_as_colors(raw: RawMask) -> np.ndarray:
    """The values of a mask file as a picture uint8 (H, W, 3): its own colours, or one colour per value.

    The smallest value of a mask without colours is black; ignored pixels (255) are white.
    """
    values = raw.values
    if values.ndim == 3:
        return values.astype(np.uint8)
    if raw.palette is not None and values.size and int(values.min()) >= 0 and int(values.max()) < len(raw.palette):
        return raw.palette[values]
    if not raw.lossless:
        return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    different, places = np.unique(values, return_inverse=True)
    colors = np.array([(255,) * 3 if one == IGNORE else voc_color(i) for i, one in enumerate(different)], np.uint8)
    return colors[places.reshape(values.shape)]


def doubtful_pixels(raw: RawMask, table: LabelTable, *, inferred: bool) -> np.ndarray:
    """The pixels whose value or colour has no class, bool (H, W).

    Args:
        raw: The mask.
        table: The label table of the data set.
        inferred: Whether the table was inferred from the masks. What it ignores besides 255 was taken for stray values.
    """
    values = color_codes(raw.values.astype(np.uint8)) if raw.values.ndim == 3 else raw.values
    if raw.values.ndim == 3:
        known = {int(color[1:], 16): class_id for color, class_id in table.colors.items()}
        unknown = table.map_colors(raw.values.astype(np.uint8))[1] if known else {}
    else:
        known = dict(table.ids)
        unknown = table.map_ids(values)[1] if known else {}
    strays = {value for value, class_id in known.items() if class_id == IGNORE and value != IGNORE and inferred}
    return np.isin(values, sorted(unknown.keys() | strays))


def with_marks(picture: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, int]:
    """A picture with frames around the largest connected places, and their number.

    Args:
        picture: uint8 (h, w, 3), of any size.
        wrong: bool (H, W): the places, in pixels of their own.
    """
    if not wrong.any() or wrong.mean() > _SCATTERED:
        return picture, 0
    # Places near each other share a frame.
    grown = cv2.dilate(wrong.astype(np.uint8), np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    largest = sorted(boxes[1:].tolist(), key=lambda box: -box[4])[:MARKS]
    down, across = picture.shape[0] / wrong.shape[0], picture.shape[1] / wrong.shape[1]
    framed = np.ascontiguousarray(picture).copy()
    for left, top, width, height, _ in largest:
        corner = round(left * across) - _MARGIN, round(top * down) - _MARGIN
        end = round((left + width) * across) + _MARGIN, round((top + height) * down) + _MARGIN
        cv2.rectangle(framed, corner, end, _MARK, 2)
    return framed, len(largest)


def shrunk(picture: np.ndarray, longest: int = SIDE) -> np.ndarray:
    """A picture uint8 (H, W, 3) whose longest side is at most `longest`."""
    height, width = picture.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return resize_image(picture, (max(1, round(height * scale)), max(1, round(width * scale))))


def _exhibit(dataset: Dataset, file: str, pair: tuple[Sample, Path | None] | None, inferred: bool) -> Exhibit:
    # A file that was paired with nothing may be an image; its name may have been escaped, and then is not found.
    image, mask = (pair[0].image_path, pair[1]) if pair is not None else (dataset.root / file, None)
    photo = _photo(image, dataset)
    raw = _raw(mask, dataset) if mask is not None else None
    if raw is None:
        return Exhibit(file, photo, None)
    wrong = np.zeros((1, 1), bool)
    if raw.lossless and not dataset.multilabel:
        wrong = doubtful_pixels(raw, dataset.label_table, inferred=inferred)
    shown, marked = with_marks(shrunk(values_as_colors(raw)), wrong)
    return Exhibit(file, photo, shown, marked)


def _photo(path: Path, dataset: Dataset) -> np.ndarray | None:
    try:
        return shrunk(as_picture(read_image(path, dataset.reading)))
    except DataError:
        return None


def _raw(path: Path, dataset: Dataset) -> RawMask | None:
    try:
        return load_mask(path, dataset.label_table, max_pixels=dataset.reading.max_pixels, exif=dataset.reading.exif)
    except DataError:
        return None


def _pairs_by_file(dataset: Dataset) -> dict[str, tuple[Sample, Path | None]]:
    """Name of an image or mask file, as findings write it -> its pair, and the mask to show with it."""
    found: dict[str, tuple[Sample, Path | None]] = {}
    for samples in dataset.splits.values():
        for sample in samples:
            found.setdefault(_named(sample.image_path, dataset.root), (sample, sample.mask_path))
            for path in sample.mask_files:
                found.setdefault(_named(path, dataset.root), (sample, path))
    return found


def _named(path: Path, root: Path) -> str:
    return printable(path.relative_to(root) if path.is_relative_to(root) else path)
