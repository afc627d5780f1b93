"""`summary.json` of a cross-validation: the joint score of all images, those of the folds, likely label mistakes."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from pixelwise.errors import DataError
from pixelwise.records.folds.cross_validation import SUMMARY
from pixelwise.records.folds.mistakes import LabelMistake
from pixelwise.records.scores import BinaryCounts
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, read_json
from pixelwise.storage.names import counted
from pixelwise.views import NOT_AVAILABLE, html_table, line, percent


class FoldScore(msgspec.Struct, frozen=True, kw_only=True):
    """The score of a fold on the images that it holds out. Fractions are 0..1, None if undefined.

    Attributes:
        name: Name of the fold, and of its run folder.
        images: Number of its images.
        miou: Mean IoU.
        pixel_accuracy: Share of labelled pixels that are classified correctly.
        left_out: Names of the classes that the mean IoU leaves out, since no pixel has them in labels or predictions.
    """

    name: str
    images: int
    miou: float | None
    pixel_accuracy: float | None
    left_out: tuple[str, ...] = ()


class ClassScore(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of a class over all images, 0..1; None where a score is undefined.

    Attributes:
        name: Name of the class.
        iou: Intersection over union.
        accuracy: Share of the pixels labelled as this class that are predicted as it.
        precision: Share of the pixels predicted as this class that are labelled as it.
        pixels: Number of pixels labelled as this class.
    """

    name: str
    iou: float | None
    accuracy: float | None
    precision: float | None
    pixels: int


class JointScore(msgspec.Struct, frozen=True, kw_only=True):
    """The score of all images, each predicted by the network that has not seen it, under one protocol.

    Attributes:
        protocol: Name of the protocol.
        images: Number of images.
        miou: Mean IoU of one confusion matrix over all images; None if nothing is labelled.
        miou_interval: 95 % bootstrap interval of it over the images; None for fewer than two images.
        drawn: Number of what is drawn for this interval: of images, or of groups of images; 0 if not recorded.
        pixel_accuracy: Share of labelled pixels that are classified correctly; None if nothing is labelled.
        per_class: Scores of each class over all images.
        confusion_matrix: Its pixels, a row per true class and a column per predicted one; empty for multi-label data.
        binary_counts: Pixel counts of each class of multi-label data.
        folds: The score of each fold.
        mean: Mean of the folds' mean IoU; None if one of them is undefined.
        std: Standard deviation of the folds' mean IoU, with a divisor of the number of folds less 1.
        interval: 95 % interval of the mean by Student's distribution, as if folds were independent: they share training
            images, so that it is too narrow (Bengio and Grandvalet, JMLR 5, 2004: there is no unbiased estimator).
    """

    protocol: str
    images: int
    miou: float | None
    miou_interval: tuple[float, float] | None
    pixel_accuracy: float | None
    per_class: tuple[ClassScore, ...]
    confusion_matrix: tuple[tuple[int, ...], ...] = ()
    binary_counts: tuple[BinaryCounts, ...] = ()
    folds: tuple[FoldScore, ...] = ()
    mean: float | None = None
    std: float | None = None
    interval: tuple[float, float] | None = None
    drawn: int = 0

    @property
    def unlike_folds(self) -> str | None:
        """Which folds' scores leave out which classes, in words; None if all are means over the same classes."""
        if len({frozenset(fold.left_out) for fold in self.folds}) < 2:
            return None
        said = "; ".join(f"{fold.name} without {', '.join(fold.left_out)}" for fold in self.folds if fold.left_out)
        return (
            f"The folds' mean IoU ({self.protocol}) is not over the same classes: {said}, of which no pixel is "
            "labelled or predicted there. Its mean and spread mix unlike scores; the score over all images does not."
        )


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of a cross-validation.

    Attributes:
        folder: Its folder.
        name: Name of the recipe.
        data: Folder of the data set; None for generated data.
        folds: Number of folds.
        images: Number of images, each of which was held out once.
        left_out: Number of images that could not be read.
        seed: Seed of the division into folds.
        scores: The joint score under each protocol.
        regions: Number of regions that are likely label mistakes; None if the networks do not say how sure they are.
        images_with_mistakes: Number of images that hold them.
        mistakes: The likeliest of them, the likeliest first; the others are in `label-mistakes/mistakes.csv`.
        remarks: What has to be known to read the scores, as sentences.
    """

    folder: str
    name: str
    data: str | None
    folds: int
    images: int
    left_out: int = 0
    seed: int = 0
    scores: tuple[JointScore, ...] = ()
    regions: int | None = None
    images_with_mistakes: int = 0
    mistakes: tuple[LabelMistake, ...] = ()
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return line("Cross-validation", self.folder, self._score())

    def _repr_html_(self) -> str:
        head = self.scores[0]
        rows = [
            (fold.name, str(fold.images), _percent(fold.miou), _percent(fold.pixel_accuracy)) for fold in head.folds
        ]
        rows.append(("all images", str(head.images), _percent(head.miou), _percent(head.pixel_accuracy)))
        return html_table(("fold", "images", "mIoU %", "pixel accuracy %"), rows, title=repr(self)[1:-1])

    def regions_in_words(self) -> str:
        """How many regions may be labelled wrong, and how good the networks are which say so, in a sentence."""
        regions, images = counted(self.regions or 0, "region"), counted(self.images_with_mistakes, "image")
        return (
            f"{regions} of {images} may be labelled wrong, say networks whose mean IoU is "
            f"{_percent(self.scores[0].miou)} %; the lower it is, the more of the regions are errors of the networks"
        )

    def _score(self) -> str:
        head = self.scores[0]
        spread = f", folds {_percent(head.mean)} ± {_percent(head.std)} %" if head.std is not None else ""
        return f"mIoU {_percent(head.miou)} % over {head.images} images ({head.protocol}){spread}"


def _percent(value: float | None) -> str:
    return NOT_AVAILABLE if value is None else percent(value)


def write_summary(folder: Path, summary: Summary) -> None:
    """Write `summary.json`.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(folder / SUMMARY, json_text(summary))


def read_summary(folder: Path) -> Summary:
    """The content of `summary.json`.

    Raises:
        DataError: D240, it is missing or damaged.
    """
    try:
        return read_json(folder / SUMMARY, Summary)
    except DocumentError as error:
        where = printable(folder / SUMMARY)
        raise DataError(
            "D240",
            f"{where}: {error.reason}",
            f"write it again with `pixelwise resume {shlex.quote(printable(folder))}`",
        ) from error
