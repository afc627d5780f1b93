from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch

from pixelwise.checkpoints.encoders.normalisation import following_weights, normalisation_of_weights
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.model import IMAGENET, Preprocessing
from pixelwise.recipes.schema.recipe import Recipe

HALF = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
LITE = "tf_efficientnet_lite0"


def resolved(*overrides: str) -> Recipe:
    return apply_overrides(recipe("generic-fpn"), overrides)


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[tuple[str, str]] = []

    def follow(self, entry: Recipe, *, given: bool = False) -> Preprocessing:
        changed = following_weights(
            entry, given=given, say=self.said.append, warn=lambda code, text: self.warned.append((code, text))
        )
        return changed.model.preprocessing


@pytest.mark.parametrize("weights", ["default", f"{LITE}.in1k", LITE])
def test_a_recipe_follows_the_weights_and_says_so(weights: str) -> None:
    listener = Listener()

    assert listener.follow(resolved(f"model.encoder={LITE}", f"initialize.encoder={weights}")) == HALF

    ((code, text),) = listener.warned
    assert code == "W482"
    assert "[0.5, 0.5, 0.5]" in text


@pytest.mark.parametrize("name", ["resnet18", LITE, "vit_base_patch16_224", "mobilenetv3_small_050", "convnext_atto"])
def test_the_numbers_are_timm_s(name: str) -> None:
    cfg = timm.get_pretrained_cfg(name)
    assert cfg is not None

    found = Listener().follow(resolved(f"model.encoder={name}", "initialize.encoder=default"))

    assert found.mean == pytest.approx(cfg.mean, abs=1e-4)
    assert found.std == pytest.approx(cfg.std, abs=1e-4)


def test_random_weights_and_equal_numbers_change_nothing() -> None:
    listener = Listener()

    assert listener.follow(resolved(f"model.encoder={LITE}", "initialize.encoder=none")) == IMAGENET
    assert listener.follow(resolved("model.encoder=resnet18", "initialize.encoder=default")) == IMAGENET
    assert (listener.said, listener.warned) == ([], [])


def test_a_normalisation_that_was_given_is_kept_with_a_warning() -> None:
    listener = Listener()
    own = "model.preprocessing={mean = [0.1, 0.1, 0.1], std = [0.2, 0.2, 0.2]}"
    entry = resolved(f"model.encoder={LITE}", "initialize.encoder=default")

    assert listener.follow(entry, given=True) == IMAGENET
    assert listener.follow(apply_overrides(entry, [own])).mean == (0.1, 0.1, 0.1)
    assert [code for code, _ in listener.warned] == ["W483", "W483"]


def test_a_published_recipe_keeps_its_own() -> None:
    listener = Listener()
    row = recipe("deeplabv3-mobilenetv2-voc")

    assert listener.follow(row) == row.model.preprocessing
    assert listener.warned == []
    assert "keeping the published normalisation" in listener.said[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"architecture": LITE, "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}),
        ("preprocessor_config.json", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}),
    ],
)
def test_the_description_beside_a_file_decides(tmp_path: Path, name: str, content: dict) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pth")
    (tmp_path / name).write_text(json.dumps(content), encoding="utf-8", newline="")

    found = normalisation_of_weights(
        resolved("model.encoder=resnet18", f"initialize.encoder={tmp_path / 'weights.pth'}")
    )

    assert found is not None
    assert found.preprocessing == Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


@pytest.mark.parametrize(
    "text",
    ["{}", "[1]", "no JSON", '{"mean": [0, 0], "std": [1, 1]}', '{"mean": "x", "std": [0, 1, 1]}', '{"a":' * 100_000],
)
def test_a_description_without_numbers_leaves_the_encoder_s(tmp_path: Path, text: str) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pth")
    (tmp_path / "config.json").write_text(text, encoding="utf-8", newline="")

    found = normalisation_of_weights(
        resolved(f"model.encoder={LITE}", f"initialize.encoder={tmp_path / 'weights.pth'}")
    )

    assert found is not None
    assert found.preprocessing == HALF
