"""`suspects.csv` of an evaluation: regions where the network is sure of another class than the labels say.

Either the label is wrong or the network is confidently wrong; only a look tells.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.errors import DataError
from pixelwise.storage import printable, write_text
from pixelwise.storage.cells import cell, text_in
from pixelwise.storage.documents import DocumentError, read_text, reading

SUSPECTS = "suspects.csv"


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A region of one class in the labels and of another in a sure prediction.

    Attributes:
        image: Id of the image.
        labelled: Name of the class in the labels.
        predicted: Name of the class in the prediction.
        pixels: Number of pixels, at the size at which the image was scored.
        confidence: Mean probability that the network gave to its class, 0..1.
        x: Left end of the box around the region, in pixels of the image.
        y: Its upper end.
        width: Its width.
        height: Its height.
        image_width: Width of the image.
        image_height: Height of the image.
    """

    image: str
    labelled: str
    predicted: str
    pixels: int
    confidence: float
    x: int
    y: int
    width: int
    height: int
    image_width: int
    image_height: int


def save_suspects(suspects: Sequence[Suspect], folder: Path) -> Path:
    """Write `suspects.csv`, the largest region first, into an evaluation's folder and return its path.

    Raises:
        ResourceError: S601, the disk is full.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Suspect.__struct_fields__)
    for one in sorted(suspects, key=lambda one: (-one.pixels * one.confidence, one.image, one.y, one.x)):
        writer.writerow(
            map(cell, msgspec.structs.astuple(msgspec.structs.replace(one, confidence=round(one.confidence, 4))))
        )
    write_text(folder / SUSPECTS, text.getvalue())
    return folder / SUSPECTS


def load_suspects(folder: Path) -> tuple[Suspect, ...] | None:
    """The content of an evaluation's `suspects.csv`; None if there is none, as in results of earlier versions.

    Raises:
        DataError: D240, the file is damaged.
    """
    path = folder / SUSPECTS
    if not path.is_file():
        return None
    names = ("image", "labelled", "predicted")
    try:
        with reading(path):
            rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
            plain = [{key: text_in(value) if key in names else value for key, value in row.items()} for row in rows]
            return tuple(msgspec.convert(plain, list[Suspect], strict=False))
    except DocumentError as error:
        raise DataError(
            "D240",
            f"{printable(path)}: not a list of suspected labels: {error.reason}",
            "write it again with `pixelwise evaluate`",
        ) from error
