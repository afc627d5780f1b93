"""The score of parts of a split: of each sequence, site or patient.

One confusion matrix over a whole split hides that one of its sequences may be far worse than the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pixelwise.evaluation.tally import Measurement
from pixelwise.metrics.scores import mean_of
from pixelwise.records.result import GroupResult


def group_results(measurement: Measurement, groups: Mapping[str, str]) -> tuple[GroupResult, ...]:
    """The score of every group, in the order of their names.

    Args:
        measurement: Of the whole split.
        groups: Sample id -> name of its group, for every image of the split.
    """
    members: dict[str, list[int]] = {}
    for index, image in enumerate(measurement.per_image):
        members.setdefault(groups[image.id], []).append(index)
    return tuple(_group_result(measurement, name, members[name]) for name in sorted(members))


def _group_result(measurement: Measurement, name: str, indices: list[int]) -> GroupResult:
    right, union = measurement.image_counts[indices].sum(0).tolist()
    iou = tuple(hit / whole if whole else math.nan for hit, whole in zip(right, union, strict=True))
    # Each class of a multi-label network is a decision of its own: right pixels of all of them are no accuracy.
    single = measurement.binary_counts is None
    labelled = sum(measurement.per_image[index].labelled_pixels for index in indices) if single else 0
    return GroupResult(
        name=name,
        images=len(indices),
        miou=mean_of(iou, measurement.protocol.absent),
        pixel_accuracy=sum(right) / labelled if labelled else math.nan,
        iou=tuple(None if math.isnan(value) else value for value in iou),
    )
