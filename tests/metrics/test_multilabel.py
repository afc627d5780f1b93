import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.metrics import (
    bits_of,
    confusion_matrix,
    multilabel_counts,
    multilabel_scores,
    scores,
    upsampled_bits,
)
from pixelwise.recipes.class_sets.tables import IGNORE_BIT


def test_five_pixels_by_hand():
    # Bits: class 0 is 1, class 1 is 2. The last pixel does not count, whatever is predicted for it.
    labels = np.array([0, 1, 3, 2, IGNORE_BIT], np.int32)
    prediction = np.array([0, 3, 1, 2, 3], np.int32)
    counts = multilabel_counts(labels, prediction, 2)
    assert counts.tolist() == [[2, 0, 0, 2], [1, 1, 1, 1]]  # TP, FP, FN, TN
    found = multilabel_scores(counts)
    assert found.iou == (1.0, 1 / 3)
    assert found.miou == pytest.approx(2 / 3)
    assert found.f1 == (1.0, 0.5)
    assert (found.precision, found.accuracy) == ((1.0, 0.5), (1.0, 0.5))
    assert found.pixel_accuracy == 6 / 8
    assert found.pixels == (2, 2)


def test_an_absent_class_has_no_iou_and_an_invented_one_has_0():
    counts = multilabel_counts(np.array([0, 0], np.int32), np.array([0, 2], np.int32), 2)
    found = multilabel_scores(counts)
    assert math.isnan(found.iou[0])
    assert found.iou[1] == 0
    assert (found.miou, found.classes_present) == (0, 1)
    assert multilabel_scores(counts, "zero").miou == 0
    assert math.isnan(multilabel_scores(np.zeros((2, 4), np.int64)).miou)


def test_different_shapes_and_unknown_bits_are_refused():
    with pytest.raises(ValueError, match=r"labels.*\(2, 2\).*prediction.*\(2,\)"):
        multilabel_counts(np.zeros((2, 2), np.int32), np.zeros(2, np.int32), 2)
    with pytest.raises(ValueError, match=r"^prediction: bit 2\b.*0\.\.1"):
        multilabel_counts(np.zeros(1, np.int32), np.full(1, 4, np.int32), 2)


PIXELS = st.lists(st.tuples(st.sampled_from([0, 1, 255]), st.integers(0, 1)), min_size=1, max_size=40)


@pytest.mark.heavy
@given(PIXELS)
def test_one_class_is_the_second_of_a_confusion_matrix_of_two(pixels: list[tuple[int, int]]):
    truth, prediction = (np.array(column) for column in zip(*pixels, strict=True))
    matrix = confusion_matrix(truth, prediction, 2)
    bits = np.where(truth == 255, IGNORE_BIT, truth).astype(np.int32)
    counts = multilabel_counts(bits, prediction.astype(np.int32), 1)
    assert counts.tolist() == [[matrix[1, 1], matrix[0, 1], matrix[1, 0], matrix[0, 0]]]
    ours, theirs = multilabel_scores(counts), scores(matrix)
    np.testing.assert_equal(
        (ours.iou[0], ours.f1[0], ours.precision[0], ours.accuracy[0], ours.pixel_accuracy),
        (theirs.iou[1], theirs.f1[1], theirs.precision[1], theirs.accuracy[1], theirs.pixel_accuracy),
    )


@given(st.integers(1, 30), st.integers(0, 100))
def test_counts_add_up_to_the_labelled_pixels_for_every_class(classes: int, seed: int):
    random = np.random.default_rng(seed)
    labels, prediction = (random.integers(0, 1 << classes, (5, 7)).astype(np.int32) for _ in range(2))
    labels[random.random((5, 7)) < 0.2] = IGNORE_BIT
    counts = multilabel_counts(labels, prediction, classes)
    assert counts.dtype == torch.int64
    assert counts.sum(1).tolist() == [int((labels != IGNORE_BIT).sum())] * classes


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(7, 9), (3, 4), (20, 31)])
def test_a_class_is_predicted_where_its_enlarged_probability_exceeds_one_half(
    size: tuple[int, int], align_corners: bool
):
    logits = torch.randn(2, 30, 3, 4, generator=torch.Generator().manual_seed(0))
    bits = upsampled_bits(logits, size, align_corners)
    enlarged = F.interpolate(logits, size, mode="bilinear", align_corners=align_corners)
    assert bits.dtype == torch.int32
    assert bits.shape == (2, *size)
    for k in range(30):
        assert torch.equal((bits >> k & 1).bool(), enlarged[:, k] > 0)
    assert torch.equal(bits[0], bits_of(enlarged[0].sigmoid() > 0.5))
