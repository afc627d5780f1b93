"""The features of a batch, and which networks can be trained on them."""

from __future__ import annotations

import copy

import pytest
import torch
from dpt_originals import network
from pmt_originals import network as pmt
from torch import Tensor, nn

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.linear import Linear
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.batches import Batch
from pixelwise.training.features.computing import encoded, maps_read

HEADS = {
    "generic-linear": [4], "generic-fcn": [3, 4], "generic-psp": [4], "generic-aspp": [4],
    "generic-aspp-decoder": [1, 4], "generic-fpn": [1, 2, 3, 4], "generic-unet": [0, 1, 2, 3, 4],
    "generic-segformer": [1, 2, 3, 4],
}  # fmt: skip
"""Which of the maps of strides 2 to 32 are read in training, by auxiliary heads too."""


@pytest.mark.parametrize(
    "head", [pytest.param(name, marks=[] if "fcn" in name else [pytest.mark.heavy]) for name in HEADS]
)
def test_heads_follow_from_the_maps_that_they_read(head: str):
    torch.manual_seed(0)
    changes = ["data.classes=[a,b]", "model.encoder=mobilenetv3_small_050"]
    auxiliary = ["model.auxiliary_channels=8"] if head == "generic-fcn" else []
    model = build_model(apply_overrides(recipe(head), [*changes, *auxiliary]))
    before, drawn = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    found = maps_read(model)
    count = len(model.encoder.channels)  # type: ignore[arg-type, union-attr]
    assert [index + 5 - count for index in found] == HEADS[head]
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_the_decoder_of_a_transformer_needs_no_more_than_the_tokens_of_its_blocks():
    assert maps_read(network("vit").float()) == (0, 1, 2, 3)


def test_a_decoder_with_queries_needs_no_more_than_all_tokens_of_the_blocks_that_it_reads():
    assert maps_read(pmt("dinov3").float()) == (0, 1, 2, 3, 4, 5)  # patches of three blocks, then what is before them


class Peeking(Linear):
    """A head that adds the mean colour of the image to its logits."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (super().head_logits(images)[0] + images.mean(),)


class Twice(Linear):
    """A head that encodes the image a second time, mirrored."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (super().head_logits(images)[0] + super().head_logits(images.flip(-1))[0].flip(-1),)


@pytest.mark.parametrize("kind", [Peeking, Twice])
def test_heads_that_need_more_than_the_features_are_refused(kind: type[Linear]):
    torch.manual_seed(0)
    model = kind(LinearSpec(encoder="mobilenetv3_small_050"), ("a", "b"))
    nn.init.normal_(model.classifier.weight)
    with pytest.raises(RecipeError, match=kind.__name__) as caught:
        maps_read(model)
    assert caught.value.code == "R296"


def test_encoders_with_trained_layers_are_refused():
    model = Linear(LinearSpec(encoder="mobilenetv3_small_050"), ("a", "b"))
    model.encoder.untrained = ("enlarging.",)
    with pytest.raises(RecipeError, match=r"without pretrained weights \(enlarging\)") as caught:
        maps_read(model)
    assert caught.value.code == "R296"


def test_features_are_those_of_the_normalised_and_recoloured_images():
    torch.manual_seed(0)
    model = Linear(LinearSpec(encoder="mobilenetv3_small_050"), ("a", "b"))
    pixels = torch.randint(0, 256, (2, 33, 40, 3), dtype=torch.uint8)
    negative = torch.tensor([[-1.0, 0, 0, 1], [0, -1, 0, 1], [0, 0, -1, 1]]).repeat(2, 1, 1)
    labels = torch.zeros(2, 33, 40, dtype=torch.uint8)
    *_, found = encoded(model, Batch(pixels, labels, negative, ["a", "b"]))
    *_, expected = encoded(model, Batch(255 - pixels, labels, None, ["a", "b"]))
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad
