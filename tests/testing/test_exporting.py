from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pixelwise.models import SegmentationModel
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.testing.exporting import SETTLING, distinct_networks, settled


class Normalised(SegmentationModel):
    """Statistics of the images themselves, then of what a convolution made large of them."""

    def __init__(self) -> None:
        super().__init__(ENetSpec(), ("a", "b"))
        self.first = nn.BatchNorm2d(3, momentum=0.25)
        self.conv = nn.Conv2d(3, 4, 1)
        self.second = nn.BatchNorm2d(4, momentum=None)
        self.classifier = nn.Conv2d(4, 2, 1)
        nn.init.constant_(self.conv.weight, 1000.0)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.classifier(self.second(self.conv(self.first(images)))),)


def test_of_recipes_with_one_network_the_first_is_listed():
    found = distinct_networks()
    networks = [recipe(name).model for name in found]
    assert len(set(networks)) == len(networks)
    assert {recipe(name).model for name in list_recipes()} == set(networks)
    # Of the quantization-aware row and the float one, and of each data set, the one that comes first.
    for name in found:
        assert name == next(one for one in list_recipes() if recipe(one).model == recipe(name).model)
    assert found == [name for name in list_recipes() if name in found]


def test_statistics_are_those_of_the_noise():
    model = settled(Normalised())
    torch.manual_seed(0)
    batch, height, width = SETTLING
    noise = torch.randn(batch, 3, height, width)
    first = model.get_submodule("first")
    assert isinstance(first, nn.BatchNorm2d)
    torch.testing.assert_close(first.running_mean, noise.mean((0, 2, 3)))
    torch.testing.assert_close(first.running_var, noise.var((0, 2, 3)))


def test_normalisations_of_any_depth_fit_what_goes_into_them():
    model = settled(Normalised())
    before = Normalised().eval()
    torch.manual_seed(1)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        new, fitting = before.second(before.conv(before.first(images))), model.second(model.conv(model.first(images)))  # type: ignore[operator]
    assert new.std() > 100
    assert fitting.std() == pytest.approx(1, abs=0.1)


def test_the_model_itself_the_random_numbers_and_the_momentum_stay():
    model = Normalised().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    copy = settled(model)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (model.training, copy.training) == (True, False)
    momenta = [module.momentum for module in copy.modules() if isinstance(module, nn.BatchNorm2d)]
    assert momenta == [0.25, None]


def test_the_same_model_settles_the_same_whenever_it_does():
    torch.manual_seed(3)
    model = Normalised()
    first = settled(model).state_dict()
    torch.manual_seed(4)
    assert all(torch.equal(value, first[name]) for name, value in settled(model).state_dict().items())
