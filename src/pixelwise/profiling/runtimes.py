"""What latency is measured in: PyTorch itself, in three forms, or the runtime of an export target."""

from __future__ import annotations

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.training import Precision
from pixelwise.recipes.suggestions import did_you_mean
from pixelwise.runtimes.targets import TARGETS, find_target, target_names


class EagerForm(msgspec.Struct, frozen=True, kw_only=True):
    """A way to run a network in PyTorch without exporting it.

    Attributes:
        label: What tables and charts call it.
        precision: Number format and memory layout.
        marker: How its points look in charts: a marker of Matplotlib.
    """

    label: str
    precision: Precision
    marker: str


EAGER = {
    "torch": EagerForm(label="PyTorch", precision=Precision(), marker="o"),
    "torch-channels-last": EagerForm(
        label="PyTorch, channels last", precision=Precision(channels_last=True), marker="p"
    ),
    "torch-bf16": EagerForm(label="PyTorch, bfloat16", precision=Precision(dtype="bfloat16"), marker="h"),
}
"""As users run it (eager, NCHW, float32), with channels last in memory, and in bfloat16."""


def runtime_names() -> list[str]:
    """The names of everything that latency can be measured in."""
    return [*EAGER, *target_names()]


def refuse_unknown_runtime(name: str) -> None:
    """Accept the names that `runtime_names` lists.

    Raises:
        RecipeError: R250, it is none of them.
    """
    if name in EAGER:
        return
    try:
        find_target(name)
    except RecipeError as error:
        known = runtime_names()
        raise RecipeError(
            "R250", f"no runtime is named '{name}'{did_you_mean(name, known)}", f"choose from: {', '.join(known)}"
        ) from error


def label_of(runtime: str) -> str:
    """What tables and charts call a runtime."""
    return EAGER[runtime].label if runtime in EAGER else find_target(runtime).label


def marker_of(runtime: str) -> str:
    """How points of a runtime look in charts, also of one whose package is no longer installed."""
    if runtime in EAGER:
        return EAGER[runtime].marker
    return TARGETS[runtime].marker if runtime in TARGETS else "X"
