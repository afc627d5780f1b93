"""Mask2Former against Hugging Face's, with the same weights; see `write_mask2former_originals.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from mask2former_originals import LAYERS, QUERIES, compared_layers, drawn_images, drawn_state, network
from torch import nn

from pixelwise.backbones.swin import Swin, Variant
from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.mask2former import Mask2Former, seen_pixels
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.families.mask2former import Mask2FormerSpec
from pixelwise.testing import check_model

HEAVY = [pytest.param(name, marks=pytest.mark.heavy) for name in ("swin", "swin_window12", "resnet50")]


@pytest.mark.parametrize("name", ["resnet", *HEAVY])
def test_masks_and_classes_of_all_layers_are_the_original_s(name: str) -> None:
    assert compared_layers(name) == LAYERS + 1 == 10


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name in list_recipes() if name.startswith("mask2former-")])
def test_parameters_and_multiplications_are_the_original_s(name: str) -> None:
    published = recipe(name).published
    assert published is not None
    assert published.original is not None
    original = published.original
    assert original.size is not None
    with torch.device("meta"):
        counted = complexity(build_model(recipe(name)), *original.size)
    assert str(counted.parameters) == original.parameters
    assert counted.gmacs == pytest.approx(original.gmacs, rel=1e-3)


def test_a_query_sees_the_pixels_of_its_mask_or_all_of_them_if_there_are_none() -> None:
    masks = torch.full((1, 2, 4, 8), -1.0)
    masks[0, 0, :2, 4:6] = 2.0

    seen = seen_pixels(masks, (2, 4))

    assert seen.tolist() == [[[False, False, True, False] + [False] * 4, [True] * 8]]
    assert seen_pixels(torch.zeros(1, 1, 2, 2), (1, 1)).item()  # a probability of 1/2 is inside


def test_queries_without_a_pixel_of_their_own_are_among_the_compared_ones() -> None:
    model = network("resnet").eval()
    model.load_state_dict(drawn_state(model))
    found: list[int] = []
    for layer in model.layers:
        layer.register_forward_pre_hook(lambda module, inputs: found.append(int(inputs[4].all(2).sum())))
    with torch.no_grad():
        model.training_outputs(drawn_images("resnet"))
    assert len(found) == LAYERS
    assert 0 < sum(found) < LAYERS * 2 * QUERIES


def test_scores_cover_the_image_at_stride_4() -> None:
    model = network("resnet").float().eval()
    with torch.no_grad():
        (scores,) = model.head_logits(torch.rand(1, 3, 33, 47))
    assert scores.shape == (1, 5, 9, 12)
    assert scores.min() >= 0


def test_frozen_statistics_stay_in_training_while_everything_else_is_trained() -> None:
    model = network("resnet").float().train()
    norms = [one for one in model.encoder.modules() if isinstance(one, nn.BatchNorm2d)]
    before = [one.running_mean.clone() for one in norms if one.running_mean is not None]

    model.training_outputs(torch.rand(2, 3, 64, 64))

    assert norms
    assert all(torch.equal(one.running_mean, mean) for one, mean in zip(norms, before, strict=True))  # type: ignore[arg-type]
    assert not any(one.training for one in norms)
    assert model.training
    assert model.encoder.training
    assert all(one.weight.requires_grad for one in norms)


def test_encoders_without_all_scales_are_refused() -> None:
    encoder = Swin("small", variant=Variant(12, (1, 1), 1))
    with pytest.raises(RecipeError, match="mask2former needs a feature map of stride 16") as caught:
        Mask2Former(Mask2FormerSpec(), ["a"], encoder)
    assert caught.value.code == "R207"


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["resnet", "swin"])
def test_small_networks_keep_the_contract(name: str) -> None:
    torch.manual_seed(0)
    check_model(network(name).float())


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["resnet", pytest.param("swin", marks=pytest.mark.fuzz)])
def test_a_graph_of_any_size_gives_the_same_classes(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = network(name).float().eval()
    assert isinstance(model, Mask2Former)
    size = max(model.traced_size, model.encoder.traced_size)
    open_sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        program = torch.export.export(model, (torch.rand(2, 3, *size),), dynamic_shapes=(open_sizes,), strict=False)
    torch.onnx.export(program, dynamo=True, verbose=False).save(tmp_path / "masks.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "masks.onnx")
    for shape in ((1, 3, 64, 96), (2, 3, 133, 70)):
        images = torch.rand(shape)
        with torch.no_grad():
            expected = model(images).numpy()
        (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
        assert np.array_equal(found.argmax(1), expected.argmax(1))
