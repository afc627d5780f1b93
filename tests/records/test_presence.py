"""Which classes a mean covers is told as NumPy counts it from the confusion matrix."""

import math
import re

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from records.test_evaluations import result

from pixelwise.metrics.scores import scores
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.presence import covered_by_miou, presence_of
from pixelwise.records.result import Result
from pixelwise.records.scores import ClassResult, GroupResult
from pixelwise.reports.run.terminal import totals

MATRICES = st.integers(1, 6).flatmap(
    lambda k: arrays.arrays(np.int64, (k, k), elements=st.sampled_from([0, 0, 0, 1, 7]))
)
ZERO = next(name for name, one in PROTOCOLS.items() if one.absent == "zero")


def result_of(matrix: np.ndarray, protocol: str) -> Result:
    found = scores(matrix, PROTOCOLS[protocol].absent)
    boundaries = [value if number % 2 else math.nan for number, value in enumerate(found.iou)]
    defined = [value for value in boundaries if not math.isnan(value)]
    return msgspec.structs.replace(
        result("val", protocol),
        boundary_miou=sum(defined) / len(defined) if defined else math.nan,
        miou=found.miou,
        mean_accuracy=found.mean_accuracy,
        confusion_matrix=tuple(map(tuple, matrix.tolist())),
        per_class=tuple(
            ClassResult(
                name=f"<{index}>",
                iou=found.iou[index],
                accuracy=found.accuracy[index],
                precision=found.precision[index],
                pixels=found.pixels[index],
                images=0,
                worst_image=None,
                worst_image_iou=math.nan,
                boundary_iou=boundaries[index],
            )
            for index in range(len(matrix))
        ),
    )


def names(which: np.ndarray) -> list[str]:
    return [f"<{index}>" for index in np.flatnonzero(which)]


@given(MATRICES, st.sampled_from(["native", ZERO]))
def test_every_statement_is_what_numpy_counts(matrix: np.ndarray, protocol: str):
    one = result_of(matrix, protocol)
    labelled, predicted = matrix.sum(1) > 0, matrix.sum(0) > 0
    union = matrix.sum(1) + matrix.sum(0) - np.diagonal(matrix)
    counted = len(matrix) if protocol == ZERO else int((union > 0).sum())
    text = " | ".join(presence_of(one).sentences())

    assert covered_by_miou(one) == f"{counted} of {len(matrix)}"
    assert f"({counted} of {len(matrix)} classes)" in totals(one)
    if counted and labelled.any():
        # The mean that was computed is the mean over as many classes as is said.
        iou = np.diagonal(matrix) / np.maximum(union, 1)
        assert one.miou == pytest.approx(iou.sum() / counted)
        accuracy = np.diagonal(matrix)[labelled] / matrix.sum(1)[labelled]
        assert one.mean_accuracy == pytest.approx(accuracy.mean())
    assert (text == "") == labelled.all()
    without, invented = names(~labelled & ~predicted), names(~labelled & predicted)
    part = text.partition("In neither")[2].partition(".")[0]
    assert re.findall(r"<\d>", part) == without
    assert re.findall(r"<\d>", text.partition("never labelled")[2].partition(".")[0]) == invented
    if without:
        assert ("counts as 0" in part) == (protocol == ZERO)
    if not labelled.all():
        assert f"over {counted} of {len(matrix)} class" in text
        contours = int((union > 0)[1::2].sum())
        assert (f"boundary mIoU over {contours}." in text) == (contours > 0)
        assert f"accuracy over the {int(labelled.sum())} of {len(matrix)} class" in text


def test_groups_are_covered_by_the_same_rule():
    group = GroupResult(name="g", images=1, miou=0.5, pixel_accuracy=0.5, iou=(0.5, None, 1.0))
    assert covered_by_miou(result("val", "native"), group) == "2 of 3"
    assert covered_by_miou(result("val", ZERO), group) == "3 of 3"
