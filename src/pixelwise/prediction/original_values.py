"""The values that the masks of the training data had, for masks that other programs of their owner can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pixelwise.datasets.labels import LabelTable, format_color, parse_color
from pixelwise.errors import RecipeError
from pixelwise.recipes.class_sets.tables import IGNORE

_WHITE, _LARGEST = 255, 65535
_HELP = "leave out `mask_format`, which writes the class ids, or write outlines with `polygons` (labelme or coco)"


class OriginalValues(NamedTuple):
    """The pixel value of each class in the masks of the training data.

    Attributes:
        values: One per class: numbers, or colours as `#rrggbb`.
        ignored: The value of ignored pixels.
        merged: Class id -> all values that mean the class, for classes of several; the first of them is written.
    """

    values: tuple[Any, ...]
    ignored: Any
    merged: dict[int, tuple[Any, ...]]

    def coded(self, labels: np.ndarray) -> np.ndarray:
        """Class ids uint8 (H, W) as these values: uint8 or uint16 (H, W), or colours uint8 (H, W, 3)."""
        every = [*self.values, *[self.ignored] * (IGNORE + 1 - len(self.values))]
        if isinstance(self.ignored, str):
            return np.array([parse_color(one) for one in every], np.uint8)[labels]
        return np.array(every, np.uint8 if max(every) <= _WHITE else np.uint16)[labels]

    def sentence(self, classes: Sequence[str]) -> str:
        """What cannot be given back because the training merged it; empty if nothing was merged."""
        parts = [
            f"{', '.join(map(str, values))} are all {classes[class_id]}, written as {values[0]}"
            for class_id, values in sorted(self.merged.items())
        ]
        return f"values of the training data's masks were merged: {'; '.join(parts)}" if parts else ""


def original_values(table: LabelTable | None, classes: Sequence[str]) -> OriginalValues:
    """The values of the classes in the masks of the training data.

    Args:
        table: The label table of the training data; None if it is not recorded.
        classes: Class names of the network.

    Raises:
        RecipeError: R222, the masks had no values of their own, or such as a PNG file cannot hold.
    """
    if table is None or not (table.ids or table.colors):
        raise _refusal("its training data has no values of masks: labels were drawn from annotations, or not recorded")
    if table.from_alpha:
        raise _refusal("the masks of its training data are transparency, which is no value")
    if table.ids:
        meaning: dict[Any, int] = dict(table.ids)
        if table.threshold is not None:
            meaning = {_WHITE * raw: class_id for raw, class_id in meaning.items() if raw in (0, 1)}
        # Of several values the smallest one that is no sign of missing data.
        order = sorted(meaning, key=lambda raw: (raw < 0, raw))
        ignored = next((raw for raw in order if meaning[raw] == IGNORE and raw >= 0), IGNORE)
    else:
        meaning = {format_color(parse_color(color)): class_id for color, class_id in table.colors.items()}
        order = list(meaning)
        ignored = next((color for color in order if meaning[color] == IGNORE), "#000000")
    of_class = {class_id: [raw for raw in order if meaning[raw] == class_id] for class_id in range(len(classes))}
    without = [name for class_id, name in enumerate(classes) if not of_class[class_id]]
    if without:
        raise _refusal(f"the masks of its training data have no value for {', '.join(without)}")
    values: tuple[Any, ...] = tuple(found[0] for found in of_class.values())
    written: list[Any] = [*values, ignored]
    if table.ids and not all(0 <= one <= _LARGEST for one in written):
        raise _refusal(f"the masks of its training data have the values {', '.join(map(str, values))}, beyond 16 bits")
    merged = {class_id: tuple(found) for class_id, found in of_class.items() if len(found) > 1}
    return OriginalValues(values, ignored, merged)


def _refusal(reason: str) -> RecipeError:
    return RecipeError("R222", f"format 'original' does not suit this network: {reason}", _HELP)
