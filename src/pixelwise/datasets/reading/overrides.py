"""Settings for reading images, changed for a single call: `data.input_range=[0, 65535]` of `pixelwise predict`."""

from __future__ import annotations

from typing import Any

import msgspec

from pixelwise.datasets.samples import Reading
from pixelwise.errors import RecipeError
from pixelwise.recipes.overrides import Overrides, parse_override, words_of
from pixelwise.recipes.parsing import section
from pixelwise.recipes.schema.recipe import Data

FIELDS = ("exif", "alpha", "input_range", "max_pixels", "channels")
"""Fields of the recipe's `data` section that decide how an image is read."""


def overridden(reading: Reading, overrides: Overrides, in_channels: int) -> Reading:
    """The reading options with each `data.FIELD=VALUE` applied.

    Args:
        reading: Reading options of the training.
        overrides: Changes, written as for a recipe; only `FIELDS` can be changed.
        in_channels: Number of channels that the network receives.

    Raises:
        RecipeError: R201, an override is malformed; R203, a value is wrong, or the number of channels is not that of
            the network; R285, the field does not concern the reading of images.
    """
    changes: dict[str, Any] = {}
    for override in words_of(overrides):
        path, value = parse_override(override)
        name = path.removeprefix("data.")
        if not path.startswith("data.") or name not in FIELDS:
            raise RecipeError(
                "R285",
                f"'{path}' does not concern the reading of images, and the network is trained already",
                f"settings that can be changed here: {', '.join(f'data.{field}' for field in FIELDS)}",
            )
        changes[name] = value
    data: Data = section("data", {name: value for name, value in changes.items() if value is not None})
    changed = msgspec.structs.replace(reading, **{name: getattr(data, name) for name in changes})
    if changed.channels is not None and len(changed.channels) != in_channels:
        raise RecipeError(
            "R203",
            f"data.channels selects {len(changed.channels)} channels; the network receives {in_channels}",
            "select as many channels as the network was trained with, in the same order",
        )
    return changed
