"""Units of the numbers in recipes, by the names of their fields."""

from __future__ import annotations

import re

_UNITS = (
    (r"(.*_)?iterations|every_steps|warmup_after|ramp", "steps"),
    (r"(.*_)?epochs|milestones", "epochs"),
    (r"every_minutes", "minutes"),
    (r"train_hours", "hours"),
    (r"gpu_memory_gib", "GiB"),
    (r"gmacs", "10^9 multiply-accumulates"),
    (r"miou_percent", "%"),
    (r"min_delta", "percentage points"),
    (r"batch_size|lr_batch|(.*_)?images", "images"),
    (r"rotate", "degrees"),
    (r"translate|(.*_)?width|max_pixels|side", "pixels"),
    (r"(.*_)?size|resize|fit|crop", "pixels"),
    (r"(.*_)?probability|flip|drop_path|threshold", "probability"),
    (r"(.*_)?share|(.*_)?ratio|class_crop|rise|label_smoothing|importance", "fraction"),
    (r"brightness|contrast|saturation|channel_gain|aspect", "fraction"),
    (r"hue", "fraction of a circle"),
    (r"cache_(views|features)", "views"),
    (r"workers", "processes"),
    (r"keep", "checkpoints"),
    (r"(.*_)?channels", "channels"),
)
"""Regular expression of a field's name -> its unit; the first that matches counts."""


def unit_of(path: str) -> str:
    """The unit of a field's numbers, such as `steps`; empty for plain numbers such as factors, weights and seeds.

    Args:
        path: Path of the field, such as `schedule.warmup_iterations`.
    """
    leaf = path.rpartition(".")[2]
    if path == "data.channels":  # numbers of channels, not how many
        return ""
    return next((unit for pattern, unit in _UNITS if re.fullmatch(pattern, leaf)), "")
