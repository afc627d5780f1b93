from __future__ import annotations

import math

import numpy as np
import pytest

from pixelwise.metrics import CONVENTIONS, miou

CLEAN = [[3, 1], [0, 4]]
"""Both classes are labelled, nothing is void: IoU 3/4 and 4/5."""
ABSENT = [[3, 1, 0], [0, 4, 0], [0, 0, 0]]
"""The third class occurs nowhere."""
INVENTED = [[3, 0, 1], [0, 4, 0], [0, 0, 0]]
"""The third class is predicted, but no label has it: IoU 3/4, 1, 0."""
VOID = [[2, 0, 2], [0, 4, 0]]
"""Half of the first class was predicted as void (the last column)."""


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_where_every_class_is_labelled_and_nothing_is_void_all_agree(convention):
    assert miou(np.array(CLEAN), convention) == pytest.approx((3 / 4 + 4 / 5) / 2, abs=1e-7)


@pytest.mark.parametrize(
    ("convention", "absent", "invented", "void"),
    [
        ("cityscapes", (3 / 4 + 4 / 5) / 2, (3 / 4 + 1) / 3, (1 / 2 + 1) / 2),
        ("pytorch-enet", (3 / 4 + 4 / 5) / 2, (3 / 4 + 1) / 3, 1.0),
        ("sssegmentation", (3 / 4 + 4 / 5) / 2, (3 / 4 + 1) / 3, (1 / 2 + 1) / 2),
        ("united-perception", (3 / 4 + 4 / 5) / 3, (3 / 4 + 1) / 3, (1 / 2 + 1) / 2),
        ("edgeai", (3 / 4 + 4 / 5) / 3, (3 / 4 + 1) / 3, (1 / 2 + 1) / 2),
    ],
)
def test_absent_classes_and_void_predictions_tell_them_apart(convention, absent, invented, void):
    found = [miou(np.array(matrix), convention) for matrix in (ABSENT, INVENTED, VOID)]

    assert found == pytest.approx([absent, invented, void], abs=1e-7)


def test_the_epsilons_are_the_published_ones():
    one_pixel = np.array([[1]])

    assert miou(one_pixel, "cityscapes") == 1.0
    assert miou(one_pixel, "united-perception") == 1 / (1 + 1e-10)
    assert miou(one_pixel, "edgeai") == 1 / (1 + 2**-23)


def test_nothing_labelled_is_no_number_or_zero():
    nothing = np.zeros((2, 2), int)

    assert math.isnan(miou(nothing, "cityscapes"))
    assert miou(nothing, "edgeai") == 0.0


def test_an_unknown_convention_and_a_strange_matrix_are_refused():
    with pytest.raises(ValueError, match="'official'; expected one of: cityscapes, pytorch-enet"):
        miou(np.array(CLEAN), "official")
    with pytest.raises(ValueError, match=r"\(2, 4\); expected \(K, K\)"):
        miou(np.zeros((2, 4), int), "cityscapes")
