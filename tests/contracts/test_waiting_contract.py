"""No step waits for a GPU: on PyTorch's `meta` device, whose tensors have no values, nothing can be read back.

What is read in a step anywhere - a loss, whether a class is present, how many pixels are labelled - fails here.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch

from pixelwise.losses import mask_classification
from pixelwise.models import build_model
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training import step
from pixelwise.training.autotuning.batch_size import random_batch
from pixelwise.training.state import begin_state
from pixelwise.training.step import train_step

DEVICE = torch.device("meta")


def different() -> dict[str, Recipe]:
    """One recipe for every network and loss, by name."""
    found = {}
    for name in list_recipes():
        recipe = find_recipe(name)
        found.setdefault(msgspec.json.encode((recipe.model, recipe.loss, recipe.optimizer.kind)), recipe)
    return {recipe.name: recipe for recipe in found.values()}


RECIPES = different()  # a step of each takes a second, even without values


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(step, "decides_on_device", lambda optimizer, device: True)
    # PyTorch's fused optimizers have no kernels for this device.
    monkeypatch.setattr(step, "step_if", lambda finite, optimizer: None)
    monkeypatch.setattr(mask_classification, "_generator", lambda device, seed, layer: None)  # nor random generators


def by_parts() -> list[Any]:
    """All: the first of each network, parts of a loss, and optimizer is heavy; the others differ in numbers alone."""
    seen: set[object] = set()
    found = []
    for name, recipe in RECIPES.items():
        used = frozenset(part for part, value in msgspec.structs.asdict(recipe.loss).items() if value)
        key = (type(recipe.model), used, recipe.optimizer.kind)
        found.append(pytest.param(name, marks=pytest.mark.fuzz if key in seen else pytest.mark.heavy))
        seen.add(key)
    return found


def waits(recipe: Recipe) -> None:
    """A step of `recipe` as on a GPU; fails where it reads something back."""
    recipe = apply_overrides(recipe, ["precision.dtype=float32"])  # no autocast for this device
    if recipe.loss.matching is not None:  # which waits for the assignments unless they are fixed
        recipe = apply_overrides(recipe, ["loss.matching.assignment=fixed", "model.queries=150"])
    with DEVICE:
        model = build_model(recipe, num_classes=None if recipe.data.classes else 5)
    state = begin_state(model, recipe, DEVICE)
    channels = model.preprocessing.in_channels
    batch = random_batch(2, (64, 96), model.num_classes, channels, multilabel=recipe.data.multilabel)
    weights = torch.ones(model.num_classes, device=DEVICE)
    outcome = train_step(recipe, state, model.training_outputs, [batch, batch], weights)
    assert outcome.kind == "done"
    assert outcome.loss.device == DEVICE
    assert outcome.verdict is not None


@pytest.mark.parametrize("name", by_parts())
def test_a_step_of_a_recipe_reads_nothing_back(name: str) -> None:
    waits(RECIPES[name])


@pytest.mark.heavy
@pytest.mark.parametrize(
    "changes",
    [
        ["loss.dice=0.5", "loss.focal=0.5"],
        ["loss.lovasz=0.5"],
        ["loss.lovasz=0.5", "loss.lovasz_per_image=true"],
        ["loss.tversky=1", "loss.boundary=1", "loss.label_smoothing=0.1"],
        ["loss.normalize=all", "loss.class_weights=median-frequency"],
        ["optimizer.clip_norm=1", "ema.decay=0.9"],
    ],
)
def test_no_part_of_the_loss_reads_anything_back(changes: list[str]) -> None:
    waits(apply_overrides(find_recipe("town-demo"), changes))


@pytest.mark.heavy
def test_multi_label_losses_read_nothing_back() -> None:
    changes = ["data.multilabel=true", 'data.classes=["crack","rust"]', "loss.dice=0.5", "loss.focal=0.5"]
    waits(apply_overrides(find_recipe("unet-resnet18"), changes))


def test_reading_something_back_would_fail_here() -> None:
    with pytest.raises(RuntimeError, match="meta"):
        bool(torch.zeros((), device=DEVICE) > 0)
