"""The teacher's part of the loss, by hand: an image of 2x2 pixels and two classes, or as little as shows the rule."""

from __future__ import annotations

import math

import msgspec
import pytest
import torch
from torch import Tensor

from pixelwise.losses.distillation import distillation_loss, taught_probabilities
from pixelwise.recipes.schema.recipe import Distillation

LN2, LN3 = math.log(2), math.log(3)


def section(match: str, **options: object) -> Distillation:
    return msgspec.convert({"teacher": "runs/t", "match": match, **options}, Distillation)


def loss(mine: Tensor, theirs: Tensor, chosen: Distillation, *, multilabel: bool = False) -> Tensor:
    taught = taught_probabilities(theirs, chosen, multilabel=multilabel)
    return distillation_loss(mine, taught, chosen, multilabel=multilabel)


def two_classes(first: list[float]) -> Tensor:
    """Logits (1, 2, 2, 2) of which the second class has 0."""
    return torch.stack([torch.tensor(first), torch.zeros(4)]).view(1, 2, 2, 2)


def test_logits_by_hand():
    # The teacher says (3/4, 1/4) at the first pixel, (1/2, 1/2) elsewhere; the network (1/2, 1/2) everywhere:
    # 3/4 ln(3/2) + 1/4 ln(1/2) at one of four pixels.
    theirs, mine = two_classes([LN3, 0, 0, 0]), two_classes([0, 0, 0, 0])
    expected = (3 / 4 * math.log(3 / 2) - 1 / 4 * LN2) / 4
    assert loss(mine, theirs, section("logits")).item() == pytest.approx(expected)
    # Logits of twice the size at temperature 2 are the same probabilities, and the loss four times as large.
    assert loss(2 * mine, 2 * theirs, section("logits", temperature=2.0)).item() == pytest.approx(4 * expected)


def test_logits_of_several_labels_by_hand():
    # Each of the eight logits is a pair of outcomes; one of them is 3/4 against 1/2, the others agree.
    theirs, mine = two_classes([LN3, 0, 0, 0]), two_classes([0, 0, 0, 0])
    expected = (3 / 4 * math.log(3 / 2) - 1 / 4 * LN2) / 8
    assert loss(mine, theirs, section("logits"), multilabel=True).item() == pytest.approx(expected)


def test_channels_by_hand():
    # The first class is at the four pixels with (1/2, 1/6, 1/6, 1/6) for the teacher, with 1/4 each for the network;
    # the second with 1/4 each for both: 1/2 ln 2 + 3 / 6 ln(2/3), at a mean over two classes.
    theirs, mine = two_classes([LN3, 0, 0, 0]), two_classes([5, 5, 5, 5])
    expected = (1 / 2 * LN2 + 1 / 2 * math.log(2 / 3)) / 2
    assert loss(mine, theirs, section("channels", temperature=1.0)).item() == pytest.approx(expected)
    # The default temperature is 4.
    assert loss(4 * mine, 4 * theirs, section("channels")).item() == pytest.approx(16 * expected)


def test_correlation_within_classes_by_hand():
    # Probabilities of the first class: the teacher 3/4, 1/4, 1/2, 1/2, the network 3/4, 1/2, 1/2, 1/4. Centred, in
    # quarters: (1, -1, 0, 0) and (1, 0, 0, -1), whose correlation is 1/2; that of the second class is the same.
    theirs, mine = two_classes([LN3, -LN3, 0, 0]), two_classes([LN3, 0, 0, -LN3])
    assert loss(mine, theirs, section("dist")).item() == pytest.approx(1 / 2)
    assert loss(mine, theirs, section("dist", within=3.0)).item() == pytest.approx(3 / 2)
    # With two classes nothing is learned from the correlation between them.
    assert loss(mine, theirs, section("dist", within=0.0)).item() == 0


def test_correlation_between_classes_by_hand():
    # One pixel and three classes: (1/2, 1/4, 1/4) and (1/4, 1/2, 1/4). Centred, in twelfths: (2, -1, -1) and
    # (-1, 2, -1), whose correlation is -3/6.
    theirs, mine = (torch.tensor(values).log().view(1, 3, 1, 1) for values in ([2.0, 1.0, 1.0], [1.0, 2.0, 1.0]))
    assert loss(mine, theirs, section("dist", within=0.0)).item() == pytest.approx(3 / 2)
    # Over a single pixel every class is constant: nothing is alike, and nothing is pulled.
    assert loss(mine, theirs, section("dist", between=0.0)).item() == 1


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("match", ["logits", "channels", "dist"])
def test_a_network_that_says_the_same_learns_nothing(match: str, multilabel: bool):
    torch.manual_seed(0)
    theirs = 3 * torch.randn(2, 5, 3, 4)
    mine = theirs.clone().requires_grad_()
    value = loss(mine, theirs, section(match), multilabel=multilabel)
    value.backward()
    assert value.item() == pytest.approx(0, abs=2e-5)
    assert mine.grad is not None
    assert mine.grad.abs().max() < 1e-5
    assert loss(torch.randn(2, 5, 3, 4), theirs, section(match), multilabel=multilabel) > 0.01


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("match", ["logits", "channels", "dist"])
def test_gradients_are_those_of_differences(match: str, multilabel: bool):
    torch.manual_seed(0)
    theirs = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    mine = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    chosen = section(match, temperature=1.5)
    assert torch.autograd.gradcheck(lambda one: loss(one, theirs, chosen, multilabel=multilabel), (mine,))


@pytest.mark.parametrize("match", ["logits", "channels", "dist"])
def test_extreme_logits_stay_finite(match: str):
    theirs = two_classes([1e4, -1e4, 0, 1e4])
    mine = two_classes([-1e4, 1e4, 0, 0]).to(torch.bfloat16).requires_grad_()
    value = loss(mine, theirs, section(match))
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert mine.grad is not None
    assert mine.grad.isfinite().all()
