"""What a report shows of the images of an evaluation: `images.jsonl`, `thumbnails.zip` and `samples/samples.json`.

`images.jsonl` has one line per image with its pixel counts, without the cells that are zero, so that the images behind
any cell of the confusion matrix can be found again; `samples.json` lists the images whose pictures are kept.
Evaluations of earlier versions lack some of these files.
"""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.records.scores import ImageScore
from pixelwise.storage import printable, write_bytes
from pixelwise.storage.documents import DocumentError, read_document, read_json, reading

DETAILS = "images.jsonl"
THUMBNAILS = "thumbnails.zip"
SAMPLE_LIST = "samples.json"
_LARGEST_THUMBNAIL = 256 * 1024
_NAME = re.compile(r"\d{6,9}\.webp")

RegionSize = Literal["small", "medium", "large"]
"""COCO's limits: less than 32 x 32 pixels, less than 96 x 96 pixels, or more."""


class ConfusedPixels(msgspec.Struct, frozen=True, array_like=True):
    """`pixels` pixels of class `truth` were predicted as class `prediction`; both are class ids."""

    truth: int
    prediction: int
    pixels: int


class ClassPixels(msgspec.Struct, frozen=True, array_like=True):
    """Pixel counts of one class of a multi-label image."""

    class_id: int
    true_positives: int
    false_positives: int
    false_negatives: int


class RegionCounts(msgspec.Struct, frozen=True, array_like=True):
    """Connected regions of one class and size in an image.

    Attributes:
        class_id: Class of the regions.
        size: Size of the regions.
        labelled: Number of regions in the labels.
        found: Number of these of which at least half the pixels are predicted as the class.
        invented: Number of predicted regions of which less than half the pixels are labelled as the class.
    """

    class_id: int
    size: RegionSize
    labelled: int
    found: int
    invented: int


class ImageDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Pixel and region counts of one image.

    Attributes:
        id: Id of the image.
        confusion: Cells of its confusion matrix that are not zero, in order; empty for multi-label data.
        binary: Counts of the classes that occur in a multi-label image; empty for other data.
        near: Number of labelled pixels near a border between two true classes.
        near_wrong: Number of these that are wrong.
        regions: Connected regions by class and size; empty for multi-label data.
    """

    id: str
    confusion: tuple[ConfusedPixels, ...] = ()
    binary: tuple[ClassPixels, ...] = ()
    near: int = 0
    near_wrong: int = 0
    regions: tuple[RegionCounts, ...] = ()

    @property
    def wrong(self) -> int:
        """Number of wrong pixels; 0 for multi-label data."""
        return sum(cell.pixels for cell in self.confusion if cell.truth != cell.prediction)

    @property
    def far_wrong(self) -> int:
        """Number of wrong pixels away from the borders between true classes: wrong regions rather than wrong edges."""
        return self.wrong - self.near_wrong

    def worst_class(self) -> tuple[int, float] | None:
        """Id and IoU, 0..1, of the class with the lowest IoU among those labelled in the image; None without any.

        Of several with the same IoU, the one with the most labelled pixels.
        """
        found: dict[int, list[int]] = {}  # labelled, either, both
        for cell in self.confusion:
            for class_id in {cell.truth, cell.prediction}:
                counts = found.setdefault(class_id, [0, 0, 0])
                counts[0] += cell.pixels if cell.truth == class_id else 0
                counts[1] += cell.pixels
                counts[2] += cell.pixels if cell.truth == cell.prediction else 0
        for one in self.binary:
            labelled = one.true_positives + one.false_negatives
            found[one.class_id] = [labelled, labelled + one.false_positives, one.true_positives]
        rated = [(both / either, -labelled, id) for id, (labelled, either, both) in found.items() if labelled]
        if not rated:
            return None
        iou, _, class_id = min(rated)
        return class_id, iou


def save_details(details: Sequence[ImageDetails], folder: Path) -> Path:
    """Write `images.jsonl` into an evaluation's folder and return its path.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_bytes(folder / DETAILS, b"".join(msgspec.json.encode(one) + b"\n" for one in details))
    return folder / DETAILS


def load_details(folder: Path) -> tuple[ImageDetails, ...]:
    """The content of an evaluation's `images.jsonl`; empty if there is none.

    Raises:
        DataError: D240, the file is damaged.
    """
    path = folder / DETAILS
    if not path.is_file():
        return ()
    decoder = msgspec.json.Decoder(ImageDetails)
    try:
        with reading(path):
            return tuple(map(decoder.decode, read_document(path).splitlines()))
    except DocumentError as error:
        raise DataError(
            "D240",
            f"{printable(path)}: not a list of images: {error.reason}",
            "write it again with `pixelwise evaluate`",
        ) from error


def thumbnail_name(index: int) -> str:
    """Name, in `thumbnails.zip`, of the picture of the image in this place of the split, counted from 0."""
    return f"{index:06d}.webp"


def load_thumbnails(folder: Path) -> dict[str, bytes]:
    """The pictures in an evaluation's `thumbnails.zip` by name; empty if there is none or it is damaged.

    Pictures are an extra: a damaged one is left out, and no report fails for it.
    """
    path, found = folder / THUMBNAILS, {}
    if not path.is_file():
        return {}
    with contextlib.suppress(OSError, zipfile.BadZipFile, NotImplementedError), zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size <= _LARGEST_THUMBNAIL
            if stored and _NAME.fullmatch(entry.filename):
                with contextlib.suppress(zipfile.BadZipFile, RuntimeError):
                    found[entry.filename] = archive.read(entry)
    return found


class ClassLevels(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled pixels of an image by the probability of a class.

    Attributes:
        class_id: The class.
        labelled: Number of pixels that are labelled as the class, for each level of probability.
        other: Number of pixels that are labelled otherwise.
        picture: File name of the probability as grey levels (WebP); empty if none was kept.
    """

    class_id: int
    labelled: tuple[int, ...]
    other: tuple[int, ...]
    picture: str = ""


Kind = Literal["worst", "median", "best", "confused", "wrong-regions", "spread"]
"""Reasons why the pictures of an image are kept."""


class SavedSample(msgspec.Struct, frozen=True, kw_only=True):
    """One image of an evaluation with its pictures, as listed in `samples.json`.

    Attributes:
        kind: Reason why the image was chosen.
        score: Scores of the image.
        height: Height of the pictures.
        width: Width of the pictures.
        photo: File name of the image (JPEG); images that are not RGB are converted by `as_picture`.
        truth: File name of the ground truth (palette PNG, 255 = ignored).
        prediction: File name of the prediction (palette PNG).
        combinations: For multi-label data, the class set of each value in `truth` and `prediction`, as a bit field:
            bit k is set if class k is present. Empty if the values are class ids.
        levels: Pixels by the probability of class 1 of two, or of each class of multi-label data; empty for other data,
            and if the network gives no probabilities.
    """

    kind: Kind
    score: ImageScore
    height: int
    width: int
    photo: str
    truth: str
    prediction: str
    combinations: tuple[int, ...] = ()
    levels: tuple[ClassLevels, ...] = ()


class SavedSamples(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `samples.json`.

    Attributes:
        classes: Names of the classes.
        palette: Official colour of each class.
        samples: The worst images first, then the middle and the best ones, then further ones.
    """

    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    samples: tuple[SavedSample, ...]


def load_samples(folder: Path) -> SavedSamples | None:
    """Content of `samples.json` in `folder`; None if there is no such file.

    Raises:
        DataError: D150, the file is damaged.
    """
    path = folder / SAMPLE_LIST
    return read_json(path, SavedSamples) if path.is_file() else None
