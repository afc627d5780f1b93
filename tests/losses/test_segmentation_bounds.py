"""Every loss, in every corner of its inputs, is finite and within a bound that is derived by hand.

The cross entropy of a pixel is ln sum exp(z_k - z_y), so at most the difference between its largest and its smallest
logit plus ln K; so is any mixture of it over classes, any mean over pixels, and any part of it (focal: a factor of at
most 1). The losses of overlaps (Dice, Tversky, Lovász) are within 0..1.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.focal import focal
from pixelwise.losses.segmentation import Truth, segmentation_loss
from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.recipes.schema.loss import Loss, Ohem

WEIGHTS = (0.0, 1e-45, 1e-38, 1e-20, 1e-6, 0.3, 1.0, 6.0, 1e5, 1e30, 3e38)
MAGNITUDES = (0.0, 1.0, 50.0, 1e4)


class Corner(NamedTuple):
    """Inputs of a loss."""

    logits: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor | None


@st.composite
def corners(draw: st.DrawFn, heaviest: float = math.inf) -> Corner:
    """Logits, labels and class weights: few or many classes, any share ignored, weights of 0, tiny and huge ones."""
    classes = draw(st.sampled_from([2, 3, 11, 150]))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.uniform(-1, 1, (shape[0], classes, *shape[1:])) * draw(st.sampled_from(MAGNITUDES))
    labels = random.integers(0, draw(st.sampled_from([1, 2, classes])), shape)
    ignored = draw(st.sampled_from(["none", "some", "all but one", "all"]))
    if ignored == "some":
        labels[random.random(shape) < 0.5] = 255
    elif ignored != "none":
        kept = labels.flat[0]
        labels[:] = 255
        labels.flat[0] = kept if ignored == "all but one" else 255
    weights = None
    if draw(st.booleans()):
        choices = [weight for weight in WEIGHTS if weight <= heaviest]
        # The first two classes are those that occur most.
        few = [draw(st.sampled_from(choices)) for _ in range(2)]
        weights = torch.tensor([*few, *random.choice(choices, classes - 2)], dtype=torch.float32)
    return Corner(torch.tensor(logits, dtype=torch.float32), torch.from_numpy(labels.astype(np.uint8)), weights)


def by_hand(corner: Corner, smoothing: float, gamma: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Value and weight of every labelled pixel in float64, (N,) each."""
    logits = corner.logits.double().numpy()
    labels = corner.labels.numpy().astype(int)
    top = logits.max(1, keepdims=True)
    nll = np.log(np.exp(logits - top).sum(1, keepdims=True)) + top - logits
    batch, rows, columns = np.nonzero(labels != 255)
    ids = labels[batch, rows, columns]
    own, mean = nll[batch, ids, rows, columns], nll.mean(1)[batch, rows, columns]
    weights = np.ones(logits.shape[1]) if corner.weights is None else corner.weights.double().numpy()
    # A weight of less than 1e-24 of the largest counts as 0.
    weights = np.where(weights < 1e-24 * weights.max(), 0, weights)
    values = (1 - smoothing) * own + smoothing * mean
    return values * np.maximum(-np.expm1(-values), 1e-6) ** gamma, weights[ids]


def most_of_a_pixel(corner: Corner) -> float:
    logits = corner.logits
    return float((logits.max(1).values - logits.min(1).values).max()) + math.log(logits.shape[1])


def value_and_gradient(corner: Corner, loss: Loss) -> tuple[float, torch.Tensor]:
    leaf = corner.logits.clone().requires_grad_()
    value = segmentation_loss([leaf], corner.labels, loss, corner.weights)
    value.backward()
    assert leaf.grad is not None
    return float(value.detach()), leaf.grad


SINGLE: dict[str, dict[str, Any]] = {
    "cross entropy": {"cross_entropy": 1.0},
    "smoothed": {"label_smoothing": 0.1},
    "almost only smoothing": {"label_smoothing": 0.99},
    "hard pixels": {"ohem": Ohem(min_kept=3)},
    "hard and smoothed": {"ohem": Ohem(min_kept=0.1), "label_smoothing": 0.2},
    "focal": {"cross_entropy": 0.0, "focal": 1.0},
    "flat focal": {"cross_entropy": 0.0, "focal": 1.0, "focal_gamma": 0.3},
    "boundary": {"cross_entropy": 0.0, "boundary": 1.0},
    "dice": {"cross_entropy": 0.0, "dice": 1.0},
    "tversky": {"cross_entropy": 0.0, "tversky": 1.0},
    "costly tversky": {"cross_entropy": 0.0, "tversky": 1.0, "tversky_alpha": 1e6, "tversky_beta": 0.0},
    "lovász": {"cross_entropy": 0.0, "lovasz": 1.0},
    "lovász per image": {"cross_entropy": 0.0, "lovasz": 1.0, "lovasz_per_image": True},
}
OVERLAPS = ("dice", "tversky", "costly tversky", "lovász", "lovász per image")


@pytest.mark.parametrize("name", SINGLE)
@settings(max_examples=15, deadline=None)
@given(corner=corners())
def test_the_loss_is_within_its_bound(name: str, corner: Corner):
    value, gradient = value_and_gradient(corner, Loss(**SINGLE[name]))
    bound = 1.0 if name in OVERLAPS else most_of_a_pixel(corner)
    assert -1e-5 <= value <= bound * (1 + 1e-5) + 1e-5
    assert gradient.isfinite().all()
    weights = by_hand(corner, 0.0)[1]
    if not len(weights) or (name not in OVERLAPS and not weights.any()):
        assert value == 0
        assert not gradient.any()


@pytest.mark.parametrize("name", SINGLE)
@settings(max_examples=6, deadline=None)
@given(corner=corners(), other=st.sampled_from([-1e4, 0.0, 30.0]))
def test_ignored_pixels_have_no_influence(name: str, corner: Corner, other: float):
    loss = Loss(**SINGLE[name])
    ignored = (corner.labels == 255).unsqueeze(1).expand_as(corner.logits)
    changed = corner._replace(logits=corner.logits.masked_fill(ignored, other))
    value, gradient = value_and_gradient(corner, loss)
    assert value_and_gradient(changed, loss)[0] == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert not gradient[ignored].any()


@settings(max_examples=50, deadline=None)
@given(corner=corners(), smoothing=st.sampled_from([0.0, 0.1, 0.9]))
def test_cross_entropy_is_the_weighted_mean_of_its_pixels(corner: Corner, smoothing: float):
    values, weights = by_hand(corner, smoothing)
    expected = (values * weights).sum() / weights.sum() if weights.any() else 0.0
    found = cross_entropy(corner.logits, corner.labels, class_weights=corner.weights, label_smoothing=smoothing)
    assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(corner=corners(), gamma=st.sampled_from([0.3, 1.0, 2.0]))
def test_focal_is_the_weighted_mean_of_its_pixels(corner: Corner, gamma: float):
    values, weights = by_hand(corner, 0.0, gamma)
    expected = (values * weights).sum() / weights.sum() if weights.any() else 0.0
    found = focal(corner.logits, corner.labels, gamma=gamma, class_weights=corner.weights)
    assert found.item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(corner=corners(heaviest=6.0), smoothing=st.sampled_from([0.0, 0.3]))
def test_the_mean_over_all_pixels_is_bounded_by_the_heaviest_one(corner: Corner, smoothing: float):
    values, weights = by_hand(corner, smoothing)
    expected = (values * weights).sum() / corner.labels.numel()
    found = cross_entropy(
        corner.logits, corner.labels, class_weights=corner.weights, label_smoothing=smoothing, normalize="all"
    )
    assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    heaviest = 1.0 if corner.weights is None else float(corner.weights.max())
    assert found.item() <= heaviest * most_of_a_pixel(corner) * (1 + 1e-5)


@settings(max_examples=25, deadline=None)
@given(one=corners(heaviest=6.0), smoothing=st.sampled_from([0.0, 0.3]), seed=st.integers(0, 1000))
def test_two_batches_together_are_their_weighted_mean(one: Corner, smoothing: float, seed: int):
    labels = one.labels.flatten()[torch.randperm(one.labels.numel(), generator=torch.Generator().manual_seed(seed))]
    two = one._replace(logits=one.logits.flip(0, 2), labels=labels.view_as(one.labels))
    both = one._replace(logits=torch.cat([one.logits, two.logits]), labels=torch.cat([one.labels, two.labels]))
    sums = [by_hand(part, smoothing)[1].sum() for part in (one, two)]
    means = [
        cross_entropy(part.logits, part.labels, class_weights=part.weights, label_smoothing=smoothing).item()
        for part in (one, two, both)
    ]
    expected = np.dot(sums, means[:2]) / sum(sums) if sum(sums) else 0.0
    assert means[2] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_batch_of_pixels_that_weigh_nothing_is_nothing_with_label_smoothing_too():
    torch.manual_seed(0)
    weights, loss = torch.tensor([0.0, 1.0]), Loss(label_smoothing=0.1)
    for size in (8, 64):
        corner = Corner(torch.randn(2, 2, size, size), torch.zeros(2, size, size, dtype=torch.uint8), weights)
        value, gradient = value_and_gradient(corner, loss)
        assert value == 0
        assert not gradient.any()


MULTI: dict[str, dict[str, Any]] = {
    "binary": {"cross_entropy": 1.0},
    "smoothed": {"label_smoothing": 0.4},
    "focal": {"cross_entropy": 0.0, "focal": 1.0, "focal_gamma": 0.5},
    "dice": {"cross_entropy": 0.0, "dice": 1.0},
    "tversky": {"cross_entropy": 0.0, "tversky": 1.0, "tversky_alpha": 1e6},
    "all": {"cross_entropy": 1.0, "focal": 1.0, "dice": 1.0, "tversky": 1.0},
}


@pytest.mark.parametrize("name", MULTI)
@settings(max_examples=15, deadline=None)
@given(corner=corners(heaviest=6.0))
def test_binary_losses_are_within_their_bounds(name: str, corner: Corner):
    # The cross entropy of one class is ln(1 + exp(-z)) or ln(1 + exp(z)), at most |z| + ln 2, times its weight.
    logits, weights = corner.logits[:, :20], None if corner.weights is None else corner.weights[:20]
    bits = torch.where(corner.labels == 255, IGNORE_BIT, corner.labels.int() * 3 % (1 << min(20, logits.shape[1])))
    leaf = logits.clone().requires_grad_()
    value = segmentation_loss([leaf], Truth(bits.int(), multilabel=True), Loss(**MULTI[name]), weights)
    value.backward()
    assert leaf.grad is not None
    heaviest = 1.0 if weights is None else max(1.0, float(weights.max()))
    entropy = heaviest * (float(logits.abs().max()) + math.log(2))
    bound = {"dice": 1.0, "tversky": 1.0, "all": 2 * entropy + 2}.get(name, entropy)
    assert -1e-5 <= float(value.detach()) <= bound * (1 + 1e-5)
    assert leaf.grad.isfinite().all()
    void = (corner.labels == 255).unsqueeze(1).expand_as(leaf)
    assert not leaf.grad[void].any()
    if void.all():
        assert value == 0
