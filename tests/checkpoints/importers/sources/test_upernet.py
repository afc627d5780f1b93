"""UPerNet's key layouts: networks with the weights of mmsegmentation and of Hugging Face compute what those compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from upernet_files import SIZE, STRIDE, written
from upernet_originals import drawn_images, network

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.checkpoints.importers.sources.upernet import conversion
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.models.upernet import UPerNet
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.upernet import UPerNetSpec

TOLERANCE = 1e-6
"""Largest difference, relative to the largest logit; in float64."""


def logits_of(model: UPerNet) -> list[Tensor]:
    """Logits of the main and of the auxiliary head, with the statistics of evaluation."""
    for module in model.train().modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
        elif isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        return list(model.head_logits(drawn_images(SIZE)))


def assert_equal(found: list[Tensor], expected: list[np.ndarray]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        assert np.abs(mine.flatten()[::STRIDE].numpy() - theirs).max() <= TOLERANCE * np.abs(theirs).max()


@pytest.mark.parametrize(("name", "mapped", "dropped"), [("swin", 233, 10), ("convnext", 169, 0)])
def test_all_logits_are_mmsegmentation_s(name: str, mapped: int, dropped: int) -> None:
    model = network(name)
    state, expected = written(name)
    report = import_weights(model, {"meta": {}, "state_dict": state}, "mmsegmentation")
    assert (len(report.mapped), len(report.dropped), report.missing) == (mapped, dropped, ())
    assert all(key.endswith("relative_position_index") for key in report.dropped)
    assert_equal(logits_of(model), expected)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["swin", "convnext"])
@pytest.mark.parametrize("saved", [True, False], ids=["file", "memory"])
def test_all_logits_are_hugging_face_s(name: str, saved: bool, tmp_path: Path) -> None:
    # transformers writes the names of the published files, which differ from those in memory.
    from safetensors.torch import load_file
    from write_upernet_originals import heads, theirs

    original = theirs(name).eval()
    with torch.no_grad():
        expected = [each.flatten()[::STRIDE].numpy() for each in heads(original, drawn_images(SIZE))]
    original.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors") if saved else original.state_dict()
    report = import_weights(model := network(name), state, "huggingface")
    assert report.missing == ()
    assert all("layernorm" in key or "relative_position_index" in key for key in report.dropped)
    assert_equal(logits_of(model), expected)


def test_the_auxiliary_head_is_optional() -> None:
    state, _ = written("convnext")
    report = import_weights(
        network("convnext"),
        {key: value for key, value in state.items() if not key.startswith("auxiliary_head.")},
        "mmsegmentation",
    )
    assert report.missing
    assert all(key.startswith("auxiliary.") for key in report.missing)


def test_weights_of_other_networks_are_refused() -> None:
    state, _ = written("swin")
    head = {"decode_head.fpn_bottleneck.conv.weight": torch.zeros(512, 64, 3, 3)}
    for source, changed, message in (
        (
            "mmsegmentation",
            {},
            "not the weights of a UPerNet over Swin or ConvNeXt of mmsegmentation; first keys: none",
        ),
        ("huggingface", state, "not the weights of a UPerNet of huggingface"),
        ("mmsegmentation", state | head, "512 channels, the model's head 16"),
        (
            "mmsegmentation",
            written("convnext")[0],
            r"a ConvNeXt with \[1, 2, 3, 1\] blocks .* 'small' with \[2, 2, 4, 2\]",
        ),
        (
            "mmsegmentation",
            {key: value for key, value in state.items() if ".stages.2.blocks.3." not in key},
            r"a Swin with \[2, 2, 3, 2\] blocks in its stages; the model's is 'small' with \[2, 2, 4, 2\]",
        ),
    ):
        with pytest.raises(CheckpointError, match=message) as refused:
            conversion(source, network("swin"), changed)
        assert refused.value.code == "K402"


def test_other_encoders_and_families_are_refused() -> None:
    state, _ = written("swin")
    with torch.device("meta"):
        other = build_model(UPerNetSpec(encoder="resnet18", channels=16), 5)
        with pytest.raises(CheckpointError, match="the model's is 'resnet18'\n"):
            conversion("mmsegmentation", other, state)
        with pytest.raises(TypeError, match="expected a UPerNet"):
            conversion("mmsegmentation", build_model(FCNSpec(encoder="resnet18"), 5), state)
