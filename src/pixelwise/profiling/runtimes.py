"""Runtimes that latency is measured in: PyTorch itself in three variants, and the runtimes of export targets."""

from __future__ import annotations

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.training import Precision
from pixelwise.runtimes.targets import TARGETS, find_target, target_names
from pixelwise.suggestions import did_you_mean


class EagerForm(msgspec.Struct, frozen=True, kw_only=True):
    """A way to run a network in PyTorch without exporting it.

    Attributes:
        label: Name in tables and charts.
        precision: Number format and memory layout.
        marker: Matplotlib marker of its points in charts.
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
"""Eager PyTorch with its defaults (NCHW, float32), with the channels-last memory layout, and in bfloat16."""


def runtime_names() -> list[str]:
    """The names of all runtimes that latency can be measured in."""
    return [*EAGER, *target_names()]


def refuse_unknown_runtime(name: str) -> None:
    """Check that a name is one of `runtime_names`.

    Raises:
        RecipeError: R250, there is no such runtime.
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
    """Name of a runtime in tables and charts."""
    return EAGER[runtime].label if runtime in EAGER else find_target(runtime).label


def marker_of(runtime: str) -> str:
    """Matplotlib marker of a runtime in charts, even if its package is no longer installed."""
    if runtime in EAGER:
        return EAGER[runtime].marker
    return TARGETS[runtime].marker if runtime in TARGETS else "X"
