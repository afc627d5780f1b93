"""`label-mistakes/` of a cross-validation: regions of labels that networks contradict which have not seen them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.storage import json_text, write_bytes, write_text
from pixelwise.storage.cells import cell

CODE = "W320"
"""Code of the finding for such a region."""
TABLE, LIST, FINDINGS, QUEUE, CROPS = "mistakes.csv", "mistakes.json", "findings.jsonl", "queue.json", "crops"


class LabelMistake(msgspec.Struct, frozen=True, kw_only=True):
    """A connected region of one class in the labels and of another in a sure prediction.

    Attributes:
        rank: Its place, from 1.
        image: Id of the image.
        labelled: Name of the class in the labels.
        predicted: Name of the class that the network which has not seen the image predicts.
        pixels: Number of pixels, at the size at which the image was scored.
        confidence: Mean probability of the predicted class in the region, 0..1.
        of_label: Mean probability of the labelled class in the region, 0..1.
        score: How much the ranking expects of it; larger is likelier.
        x: Left end of the box around the region, in pixels of the image.
        y: Its upper end.
        width: Its width.
        height: Its height.
        fold: Name of the fold that holds the image out.
        image_file: Path of the image file; empty if it is none of the user's, as of generated data.
        mask_file: Path of the mask file; empty if it is none of the user's, as of a mask that was drawn from
            annotations or put together from masks of single objects.
        crop: Name of its picture below `label-mistakes/`; empty without one.
    """

    rank: int = 0
    image: str
    labelled: str
    predicted: str
    pixels: int
    confidence: float
    of_label: float
    score: float
    x: int
    y: int
    width: int
    height: int
    fold: str = ""
    image_file: str = ""
    mask_file: str = ""
    crop: str = ""

    @property
    def message(self) -> str:
        """The finding in a sentence."""
        return (
            f"{self.image}: {self.pixels} connected pixels are labelled '{self.labelled}', but the network that has "
            f"not seen the image predicts '{self.predicted}' there with {100 * self.confidence:.0f} % on average, at x "
            f"{self.x}..{self.x + self.width}, y {self.y}..{self.y + self.height}"
        )


class _Place(msgspec.Struct, frozen=True):
    image: str
    score: float


def write_mistakes(folder: Path, mistakes: Sequence[LabelMistake], findings: bytes, root: Path) -> None:
    """Write the table, the list, the findings and the queue of the images; `mistakes.json` last.

    Args:
        folder: The folder `label-mistakes`.
        mistakes: All regions in their order.
        findings: The findings, one line of JSON each.
        root: Folder of the data, as it was named, to which the paths of the queue are relative.

    Raises:
        ResourceError: S601, the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LabelMistake.__struct_fields__)
    for one in mistakes:
        values = msgspec.structs.asdict(one)
        rounded = {name: round(values[name], 4) for name in ("confidence", "of_label", "score")}
        writer.writerow(map(cell, {**values, **rounded}.values()))
    write_text(folder / TABLE, text.getvalue())
    write_bytes(folder / FINDINGS, findings)
    write_text(folder / QUEUE, json_text({"images": queue_of(mistakes, root)}))
    write_text(folder / LIST, json_text(tuple(mistakes)))


def queue_of(mistakes: Sequence[LabelMistake], root: Path) -> list[_Place]:
    """The images with likely mistakes, each once, in the order of their likeliest region.

    Args:
        mistakes: Regions in their order.
        root: Folder of the data set.
    """
    scores: dict[str, float] = {}
    for one in mistakes:
        path = Path(one.image_file)
        if one.image_file and path.is_relative_to(root):
            scores.setdefault(path.relative_to(root).as_posix(), one.score)
    return [_Place(image, round(score, 4)) for image, score in scores.items()]
