"""What every network of the catalogue must do, whatever its family."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.specs import ModelSpec

SPECS: dict[str, ModelSpec] = {}
for _name in list_recipes():
    _spec = recipe(_name).model
    if _spec not in SPECS.values():
        SPECS[_name] = _spec

NUM_CLASSES = 5


@pytest.fixture(scope="module", params=SPECS)
def built(request: pytest.FixtureRequest) -> SegmentationModel:
    """One network per distinct spec, named by its first recipe; shared, so tests must not change it."""
    torch.manual_seed(0)
    return build_model(SPECS[request.param], NUM_CLASSES).eval()


@pytest.fixture
def model(built: SegmentationModel) -> SegmentationModel:
    return copy.deepcopy(built)


def test_it_says_what_it_is(model: SegmentationModel) -> None:
    assert model.classes == ("class_0", "class_1", "class_2", "class_3", "class_4")
    assert model.num_classes == NUM_CLASSES
    assert model.spec in SPECS.values()
    assert model.preprocessing == model.spec.preprocessing


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (250, 333)])
def test_one_image_of_any_size_gives_finite_logits_of_its_size(model: SegmentationModel, size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = model(torch.rand(1, 3, *size))

    assert logits.shape == (1, NUM_CLASSES, *size)
    assert logits.isfinite().all()


def test_head_logits_cover_the_image_at_their_stride(model: SegmentationModel) -> None:
    with torch.no_grad():
        at_64 = model.head_logits(torch.rand(1, 3, 64, 64))
        at_odd = model.head_logits(torch.rand(1, 3, 33, 47))

    stride = 64 // at_64[0].shape[-1]
    assert len(at_64) == 1  # auxiliary heads answer in training mode only
    assert at_odd[0].shape == (1, NUM_CLASSES, -(-33 // stride), -(-47 // stride))


def test_an_image_gets_the_same_logits_alone_and_in_a_batch(model: SegmentationModel) -> None:
    images = torch.rand(2, 3, 32, 48)

    with torch.no_grad():
        together, alone = model(images), model(images[1:])

    assert torch.allclose(together[1:], alone, atol=1e-4)


def test_training_on_two_small_crops_reaches_every_parameter(model: SegmentationModel) -> None:
    # A residual block may start with a normalisation whose weight is 0, which hides what is before it.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 1.0)
    model.train()

    logits = model.head_logits(torch.rand(2, 3, 64, 64))
    sum(output.square().mean() for output in logits).backward()  # type: ignore[union-attr]

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_state_dict_makes_another_network_give_the_same_logits(model: SegmentationModel) -> None:
    torch.manual_seed(1)
    other = build_model(model.spec, NUM_CLASSES).eval()
    images = torch.rand(1, 3, 40, 56)

    other.load_state_dict(model.state_dict())

    with torch.no_grad():
        assert torch.equal(model(images), other(images))


def test_it_can_be_exported(model: SegmentationModel) -> None:
    images = torch.rand(1, 3, 33, 47)

    exported = torch.export.export(model, (images,), strict=False)

    with torch.no_grad():
        assert torch.allclose(exported.module()(images), model(images), atol=1e-5)
