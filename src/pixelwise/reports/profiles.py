"""Profiles of a network as lines for a terminal, as JSON and as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pixelwise.deployment.card.latencies import LatencyTable
from pixelwise.errors import RecipeError
from pixelwise.profiling.forward import ForwardProfile
from pixelwise.profiling.training import LOADING, Part, TrainingProfile
from pixelwise.reports.card.terminal import print_latencies
from pixelwise.reports.numbers import memory, speed
from pixelwise.reports.standard_output import write, write_json
from pixelwise.reports.terminals import Console
from pixelwise.storage import printable

FORMATS = (".png", ".svg", ".pdf")
LEAST_SHARE = 0.005
"""Parts of a step with a smaller share are drawn as one bar."""
_DATA, _NETWORK, _REST = "#c7761f", "#2f6f9f", "#7f8a93"
_WORDS = {
    "read": "read files",
    "decode": "decode",
    "augment": "augment",
    "collate": "make the batch",
    "transfer": "transfer, colour, normalise",
    "average": "average (EMA)",
    "other": "between the parts",
}


def show_profile(name: str, profile: ForwardProfile | TrainingProfile | LatencyTable, *, as_json: bool) -> None:
    """Print a profile of any kind as lines, as a table, or as JSON."""
    if as_json:
        write_json(profile)
    elif isinstance(profile, LatencyTable):
        print_latencies(profile, Console(highlight=False))
    elif isinstance(profile, TrainingProfile):
        write("\n".join(training_lines(profile)) + "\n")
    else:
        write("\n".join(forward_lines(name, profile)) + "\n")


def forward_lines(name: str, profile: ForwardProfile) -> list[str]:
    """Lines for a terminal: parameters, GMACs, latency and memory of a network."""
    counted = profile.complexity
    return [
        f"{printable(name)}, {profile.classes} classes, at {counted.width}x{counted.height}, {profile.runtime}, "
        f"{profile.device}, {threads_text(profile.threads)}",
        f"parameters   {counted.parameters / 1e6:.3f} M",
        f"GMACs        {counted.gmacs:.3f}",
        f"one image    {profile.median_ms:.1f} ms (median of {profile.runs}), 90th percentile {profile.p90_ms:.1f} ms",
        f"peak memory  {memory(profile.peak_memory_bytes)}",
    ]


def training_lines(profile: TrainingProfile) -> list[str]:
    """Lines for a terminal: the time of each part of a training step, and the bottleneck."""
    lines = [
        f"{printable(profile.recipe)}: {profile.images_per_step} images of {profile.width}x{profile.height} per step, "
        f"{profile.precision}, {profile.device}, {threads_text(profile.threads)}; median of {profile.steps} steps",
    ]
    width = max(len(words(part.name)) for part in profile.parts)
    longest = max(part.share for part in profile.parts)
    for part in profile.parts:
        bar = "\u2588" * round(24 * part.share / longest)
        lines.append(
            f"{words(part.name):<{width}}  {part.milliseconds:9.1f} ms  {100 * part.share:5.1f} %  {bar}".rstrip()
        )
    lines.append(f"{speed(profile.images_per_second)} images/s if loading and training run one after the other")
    if profile.cached:
        lines.append(f"decoding, once per image before the first step: {profile.decode_once_ms:.1f} ms")
    lines.append(profile.bottleneck)
    return lines


def words(part: str) -> str:
    """The label of a part of a step."""
    return _WORDS.get(part, part)


def threads_text(count: int) -> str:
    """`1 thread`, `2 threads`."""
    return f"{count} thread{'' if count == 1 else 's'}"


def drawn_parts(parts: Sequence[Part]) -> list[Part]:
    """The parts large enough to see, in the order of a step, then the sum of the others."""
    large = [part for part in parts if part.share >= LEAST_SHARE and part.name != "other"]
    rest = [part for part in parts if part not in large]
    if rest:
        large.append(Part("rest", sum(part.milliseconds for part in rest), sum(part.share for part in rest)))
    return large


def prepare_picture(path: Path) -> None:
    """Create the folder of a chart file, after refusing an extension that is not one of `FORMATS`.

    Raises:
        RecipeError: R217, the extension is unknown.
    """
    if path.suffix.lower() not in FORMATS:
        raise RecipeError(
            "R217",
            f"`output` {printable(path)}: a chart cannot be written as '{path.suffix}'",
            f"use one of the extensions {', '.join(FORMATS)}",
        )
    path.parent.mkdir(parents=True, exist_ok=True)


def draw_training(profile: TrainingProfile, path: Path) -> None:
    """Write a bar chart of the parts of a step, in their order, to a PNG, SVG or PDF file."""
    # Importing Matplotlib takes a quarter of a second, so only drawing pays for it.
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    parts = drawn_parts(profile.parts)
    figure = Figure(figsize=(8, 1.7 + 0.36 * len(parts)), layout="constrained")
    axes = figure.subplots()
    colors = [_DATA if part.name in LOADING else _REST if part.name == "rest" else _NETWORK for part in parts]
    names = ["everything else" if part.name == "rest" else words(part.name) for part in parts]
    bars = axes.barh(names, [part.milliseconds for part in parts], color=colors, height=0.68)
    axes.bar_label(
        bars, [f"{part.milliseconds:.1f} ms, {100 * part.share:.1f} %" for part in parts], padding=4, fontsize=9
    )
    axes.invert_yaxis()
    axes.margins(x=0.24)
    axes.set_xlabel("milliseconds per step (data loading orange, training step blue)")
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    head, _, advice = profile.bottleneck.partition(": ")
    axes.set_title(
        f"{printable(profile.recipe)}: {speed(profile.images_per_second)} images/s on {profile.device}, "
        f"{threads_text(profile.threads)}, {profile.precision}\n{head}",
        loc="left",
        fontsize=11,
    )
    figure.text(0.01, -0.01, advice, fontsize=9, va="top", wrap=True)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a dollar sign in a name would begin a formula
    figure.savefig(path, dpi=140, bbox_inches="tight")
