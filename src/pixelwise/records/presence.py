"""Which classes occur in the labels and predictions of a result, and which of them each mean covers.

Terminal, report and command line tell it in these words alone, so that they agree with each other and with the counts.
"""

from __future__ import annotations

import math

import msgspec

from pixelwise.recipes.protocols import known_protocol
from pixelwise.records.result import Result
from pixelwise.records.scores import GroupResult


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of a result by where they occur, and what that means for the means over classes.

    Attributes:
        classes: Number of classes.
        labelled: Names of the classes that occur in the labels.
        only_predicted: Names of those that are predicted somewhere but never labelled; their IoU, F1 and precision
            are 0, and they have no accuracy.
        neither: Names of those in neither labels nor predictions; they have no score at all.
        in_boundary_miou: Number of classes that the mean boundary IoU covers; None if it was not measured.
        absent_count: Whether the protocol counts the IoU of `neither` as 0 in the mean instead of leaving it out.
    """

    classes: int
    labelled: tuple[str, ...]
    only_predicted: tuple[str, ...]
    neither: tuple[str, ...]
    in_boundary_miou: int | None = None
    absent_count: bool = False

    @property
    def in_miou(self) -> int:
        """Number of classes that the mean IoU covers; 0 if it is undefined."""
        if self.absent_count:
            return self.classes
        return len(self.labelled) + len(self.only_predicted)

    @property
    def in_mean_accuracy(self) -> int:
        """Number of classes that the mean accuracy covers."""
        return len(self.labelled)

    def sentences(self) -> list[str]:
        """What has to be said about classes without labels; empty if every class is labelled."""
        found = []
        if self.neither:
            how = "counts as 0" if self.absent_count else "is left out"
            found.append(
                "In neither the labels nor the predictions, so without an IoU, which in the mean "
                f"{how}: {', '.join(self.neither)}."
            )
        if self.only_predicted:
            found.append(f"Predicted but never labelled, which counts as IoU 0: {', '.join(self.only_predicted)}.")
        if len(self.labelled) < self.classes:
            boundary = f", boundary mIoU over {self.in_boundary_miou}" if self.in_boundary_miou not in (None, 0) else ""
            found.append(
                f"mIoU is the mean over {_of(self.in_miou, self.classes)}, mean accuracy over the "
                f"{_of(self.in_mean_accuracy, self.classes)} that {_verb(self.in_mean_accuracy)} labelled{boundary}."
            )
        return found


def presence_of(result: Result) -> Presence:
    """Where the classes of a result occur, from its counts per class."""
    labelled = [entry.name for entry in result.per_class if entry.pixels]
    neither = [entry.name for entry in result.per_class if not entry.pixels and math.isnan(entry.iou)]
    invented = [entry.name for entry in result.per_class if not entry.pixels and not math.isnan(entry.iou)]
    contours = sum(not math.isnan(entry.boundary_iou) for entry in result.per_class)
    return Presence(
        in_boundary_miou=None if math.isnan(result.boundary_miou) else contours,
        classes=len(result.per_class),
        labelled=tuple(labelled),
        only_predicted=tuple(invented),
        neither=tuple(neither),
        absent_count=_counts_absent(result),
    )


def covered_by_miou(result: Result, group: GroupResult | None = None) -> str:
    """`9 of 11`: the number of classes that the mean IoU of a result, or of one of its groups, covers."""
    if group is None:
        return f"{presence_of(result).in_miou} of {len(result.per_class)}"
    present = sum(iou is not None for iou in group.iou)
    return f"{len(group.iou) if _counts_absent(result) else present} of {len(group.iou)}"


def _counts_absent(result: Result) -> bool:
    """Whether the protocol counts a class without an IoU as 0; results of plug-ins that are missing leave it out."""
    known = known_protocol(result.protocol)
    return known is not None and known.absent == "zero"


def _of(number: int, classes: int) -> str:
    return f"{number} of {classes} {'class' if classes == 1 else 'classes'}"


def _verb(number: int) -> str:
    return "is" if number == 1 else "are"
