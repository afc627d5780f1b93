"""The rates and the weight decay of Mask2Former's training, by the names of the parameters and the kind of layer."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "norms"),
    [
        ("mask2former-r50-ade20k", 0.0),
        ("mask2former-r50-cityscapes", 0.1),
        ("mask2former-swin-t-ade20k", 0.1),
    ],
)
def test_encoders_learn_slowly_and_normalisations_and_embeddings_do_not_decay(name: str, norms: float) -> None:
    # As build_optimizer of the original's train_net.py goes through the layers.
    optimizer = recipe(name).optimizer
    with torch.device("meta"):
        model = build_model(recipe(name))
    for place, module in model.named_modules():
        for key, _ in module.named_parameters(recurse=False):
            group = next(
                (one for one in optimizer.groups if re.search(one.pattern, f"{place}.{key}".lstrip("."))), None
            )
            rate = 1.0 if group is None else group.lr
            decay = optimizer.weight_decay if group is None or group.weight_decay is None else group.weight_decay
            normalising = isinstance(module, NORMS)
            in_encoder = place.startswith(("encoder", "feature_norms"))
            frozen = isinstance(module, nn.BatchNorm2d)
            assert rate == (norms if frozen else 0.1 if in_encoder else 1.0), (place, key)
            still = normalising or isinstance(module, nn.Embedding) or key == "relative_position_bias_table"
            assert decay == (0.0 if still else 0.05), (place, key)


def test_crops_lengths_and_protocols_are_those_of_the_configurations() -> None:
    ade, cityscapes, large = (
        recipe(f"mask2former-{name}") for name in ("r50-ade20k", "r50-cityscapes", "swin-l-22k-ade20k")
    )
    assert [one.augment.crop for one in (ade, cityscapes, large)] == [(512, 512), (512, 1024), (640, 640)]
    assert [one.augment.fit for one in (ade, cityscapes, large)] == [(512, 2048), None, (640, 2560)]
    assert [one.schedule.iterations for one in (ade, cityscapes, large)] == [160_000, 90_000, 160_000]
    assert [one.evaluation.protocols for one in (ade, cityscapes, large)] == [
        ("detectron2-2048x512",), ("cityscapes-2048x1024",), ("detectron2-2560x640",),
    ]  # fmt: skip
    assert {one.optimizer.clip_norm for one in (ade, cityscapes, large)} == {0.01}


def test_only_the_resnet50_on_ade20k_keeps_its_statistics() -> None:
    names = [f"mask2former-{name}" for name in ("r50-ade20k", "r101-ade20k", "r50-cityscapes", "swin-t-ade20k")]
    assert [recipe(name).model.frozen_statistics for name in names] == [True, False, False, False]  # type: ignore[attr-defined]
