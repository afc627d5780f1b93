"""Counts of the images of an evaluation, from its `images.jsonl`, as far as IoU needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from pixelwise.errors import DataError, RecipeError
from pixelwise.records.details import DETAILS, ImageDetails
from pixelwise.records.evaluations import earlier_result
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.documents import DocumentError, read_document, reading

Value = TypeVar("Value")


class Counts(NamedTuple):
    """Pixel counts of groups of images, in the order of the groups' names.

    Attributes:
        rows: int64 (G, 2 K), of each group the intersections (TP) and then the unions (TP + FP + FN) of the classes.
        holds: bool (G, K), whether each class is labelled in the group.
        seen: Ids of the images, sorted, with a SHA-256 of the labelled pixels of each class.
    """

    rows: np.ndarray
    holds: np.ndarray
    seen: tuple[tuple[str, str], ...]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.seen)

    @property
    def labelled(self) -> np.ndarray:
        """int64 (K,), in how many groups each class is labelled."""
        return self.holds.sum(0)

    @property
    def truth(self) -> str:
        """SHA-256 of what was labelled: of the ids of the images, and of the labelled pixels of each class in each."""
        return sha256_bytes(msgspec.json.encode(self.seen))

    def with_images_of(self, other: Counts) -> Counts:
        """The counts of the images of both, in the same groups.

        Args:
            other: Counts of other images, with the same groups and classes.
        """
        return Counts(self.rows + other.rows, self.holds | other.holds, tuple(sorted(self.seen + other.seen)))


def read_ids(folder: Path) -> list[str]:
    """The ids of the images of an evaluation, sorted.

    Raises:
        RecipeError: R304, the counts of the single images were not kept.
        DataError: D240, the file is damaged.
    """
    return sorted(_decoded(folder, lambda details: details.id))


def read_counts(folder: Path, classes: Sequence[int], groups: Mapping[str, str]) -> Counts:
    """The counts of an evaluation, added up over groups of images.

    One image is in memory at a time, and two numbers for each class of each group: 24 MB for 10,000 groups and 150
    classes.

    Args:
        folder: Folder of the evaluation.
        classes: The ids of all K classes, in the order in which their counts are returned.
        groups: Id of each image -> name of its group.

    Raises:
        RecipeError: R304, the counts of the single images were not kept.
        DataError: D240, the file is damaged.
    """
    places = {name: place for place, name in enumerate(sorted(set(groups.values())))}
    number, order = len(classes), np.array(classes, np.int64)
    rows, holds = np.zeros((len(places), 2 * number), np.int64), np.zeros((len(places), number), bool)

    def add(details: ImageDetails) -> tuple[str, str]:
        matches, unions, labelled = (one[order] for one in _counts_of(details, number))
        place = places[groups[details.id]]
        rows[place, :number] += matches
        rows[place, number:] += unions
        holds[place] |= labelled > 0
        return details.id, sha256_bytes(labelled.tobytes())

    seen = sorted(_decoded(folder, add))
    return Counts(rows, holds, tuple(seen))


def _counts_of(details: ImageDetails, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intersections, unions and labelled pixels of each class in an image, int64 (K,)."""
    matches, labelled, predicted = np.zeros((3, classes), np.int64)
    if details.binary:
        for one in details.binary:
            matches[one.class_id] = one.true_positives
            labelled[one.class_id] = one.true_positives + one.false_negatives
            predicted[one.class_id] = one.true_positives + one.false_positives
    for truth, prediction, pixels in map(msgspec.structs.astuple, details.confusion):
        labelled[truth] += pixels
        predicted[prediction] += pixels
        matches[truth] += pixels if truth == prediction else 0
    return matches, labelled + predicted - matches, labelled


def _decoded(folder: Path, take: Callable[[ImageDetails], Value]) -> list[Value]:
    path = folder / DETAILS
    if not path.is_file():
        result = earlier_result(folder)
        command = "pixelwise evaluate" if result is None or not result.command else result.command
        raise RecipeError(
            "R304",
            f"{printable(folder)}: the counts of single images were not kept ({DETAILS}), so images cannot be drawn",
            f"score it again, which keeps them: `{command}`",
        )
    decoder = msgspec.json.Decoder(ImageDetails)
    try:
        with reading(path):
            found = [take(decoder.decode(line)) for line in read_document(path).splitlines()]
    except (DocumentError, IndexError, KeyError) as error:
        reason = error.reason if isinstance(error, DocumentError) else f"{error} is not among its classes and images"
        raise DataError(
            "D240", f"{printable(path)}: not a list of images: {reason}", "write it again with `pixelwise evaluate`"
        ) from error
    return found
