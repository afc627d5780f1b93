"""A recipe without anything that could be held against the data, to which the tests add one setting after another."""

from __future__ import annotations

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe

PLAIN = apply_overrides(
    recipe("unet-resnet18"),
    [
        "schedule.warmup_iterations=0",
        "selection.weights=last",
        "selection.every_epochs=0",
        "ema=none",
        "augment.scale=none",
    ],
)  # fmt: skip


def with_(*overrides: str) -> Recipe:
    return apply_overrides(PLAIN, overrides)
