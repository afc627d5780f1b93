import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.ohem import hard_labels


def logits_with(*probabilities: float) -> torch.Tensor:
    """A row of pixels on which class 0 of 2 has these probabilities."""
    row = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([row.log(), (1 - row).log()]).reshape(1, 2, 1, -1)


def kept(logits: torch.Tensor, labels: torch.Tensor, threshold: float, min_kept: float) -> list[bool]:
    return (hard_labels(logits, labels, threshold=threshold, min_kept=min_kept) != 255).flatten().tolist()


ROW = logits_with(0.2, 0.5, 0.8, 0.95)
ZEROS = torch.zeros(1, 1, 4, dtype=torch.uint8)


def test_four_pixels_by_hand():
    assert kept(ROW, ZEROS, threshold=0.6, min_kept=1) == [True, True, False, False]
    # Too few are below the threshold: the third smallest probability, 0.8, becomes the limit.
    assert kept(ROW, ZEROS, threshold=0.6, min_kept=3) == [True, True, True, False]
    assert kept(ROW, ZEROS, threshold=0.9, min_kept=1) == [True, True, True, False]
    assert kept(ROW, ZEROS, threshold=0.1, min_kept=0) == [False, False, False, False]


def test_the_mean_is_over_the_pixels_that_stay():
    labels = hard_labels(ROW, ZEROS, threshold=0.6, min_kept=1)
    expected = -(math.log(0.2) + math.log(0.5)) / 2
    assert cross_entropy(ROW, labels).item() == pytest.approx(expected)


def test_it_is_the_probability_of_the_pixels_own_class_that_counts():
    labels = torch.tensor([[[0, 1, 1, 0]]], dtype=torch.uint8)  # p = 0.2, 0.5, 0.2, 0.95
    assert kept(ROW, labels, threshold=0.3, min_kept=1) == [True, False, True, False]


def test_ignored_pixels_stay_ignored_and_fill_no_quota():
    labels = torch.tensor([[[255, 0, 0, 0]]], dtype=torch.uint8)
    assert kept(ROW, labels, threshold=0.1, min_kept=2) == [False, True, True, False]


def test_with_fewer_labels_than_min_kept_all_of_them_count():
    labels = torch.tensor([[[255, 255, 0, 0]]], dtype=torch.uint8)
    assert kept(ROW, labels, threshold=0.1, min_kept=3) == [False, False, True, True]
    assert kept(ROW, labels, threshold=0.1, min_kept=100_000) == [False, False, True, True]


def test_a_share_counts_all_pixels_of_the_batch_and_is_rounded_up():
    assert kept(ROW, ZEROS, threshold=0.1, min_kept=0.5) == [True, True, False, False]
    assert kept(ROW, ZEROS, threshold=0.1, min_kept=0.51) == [True, True, True, False]
    twice = hard_labels(torch.cat([ROW, ROW]), torch.cat([ZEROS, ZEROS]), threshold=0.1, min_kept=0.5)
    assert int((twice != 255).sum()) == 4


def test_when_everything_is_hard_it_is_the_cross_entropy():
    torch.manual_seed(0)
    logits, labels = 0.1 * torch.randn(2, 5, 8, 8), torch.randint(0, 5, (2, 8, 8))
    labels[0, :2] = 255
    assert torch.equal(hard_labels(logits, labels, threshold=0.9, min_kept=1), labels)


def test_a_broken_pixel_is_not_taken_for_an_easy_one():
    logits = ROW.clone()
    logits[0, :, 0, 3] = float("nan")
    labels = hard_labels(logits, ZEROS, threshold=0.6, min_kept=1)
    assert labels.flatten().tolist() == [0, 0, 255, 0]
    assert cross_entropy(logits, labels).isnan()


def test_it_moves_nothing_and_changes_no_input():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    labels = torch.zeros(1, 2, 2, dtype=torch.uint8)
    found = hard_labels(logits, labels, threshold=0.0, min_kept=1)
    assert (found.dtype, found.requires_grad) == (torch.uint8, False)
    assert labels.sum() == 0


def published_rule(logits: torch.Tensor, labels: torch.Tensor, threshold: float, min_kept: int) -> torch.Tensor:
    """The rule in the words of the paper's pixel version: sort, look up, compare."""
    probability = logits.softmax(1).gather(1, labels.clamp(max=logits.shape[1] - 1).unsqueeze(1)).squeeze(1)
    valid = labels != 255
    if int(valid.sum()) < min_kept:
        return labels
    limit = max(threshold, float(probability[valid].sort().values[min_kept - 1]))
    return torch.where(valid & (probability <= limit), labels, 255)


@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 40))
def test_it_equals_sorting_the_labelled_pixels(seed: int, threshold: float, min_kept: int):
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 3, 4, 4, generator=random, dtype=torch.float64)
    labels = torch.randint(0, 4, (2, 4, 4), generator=random)
    labels[labels == 3] = 255
    found = hard_labels(logits, labels, threshold=threshold, min_kept=min_kept)
    assert int((found != 255).sum()) >= min(min_kept, int((labels != 255).sum()))
    # exp(ln p) and p may differ in the last bit, which must not decide here.
    different = found != published_rule(logits, labels, threshold, min_kept)
    if different.any():
        p = torch.exp(-F.cross_entropy(logits, labels, ignore_index=255, reduction="none"))
        limit = p[found != 255].max()
        assert torch.allclose(p[different], limit.expand(int(different.sum())), rtol=1e-12)
