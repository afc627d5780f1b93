"""The end of `pixelwise export`: what was written, and how far it agrees with PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from pixelwise.deployment.export.export import Exported, export
from pixelwise.deployment.int8.quantize import Int8Runtime, quantize, sensitivity
from pixelwise.deployment.int8.sensitivity import LayerCost
from pixelwise.errors import RecipeError
from pixelwise.recipes.protocols import parse_size
from pixelwise.reports.displays import warn
from pixelwise.runtimes.sidecar import Runtime
from pixelwise.storage import json_text, printable


def export_and_show(
    source: str,
    output: Path,
    target: Runtime,
    *,
    argmax: bool,
    uint8_input: bool,
    output_stride: str,
    dynamic: bool,
    size: str | None,
    weights: str | None,
    num_classes: int | None,
    split: str | None,
    data: Path | None,
    images: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Export, and print a few lines or JSON."""
    exported = export(
        source,
        output,
        target,
        weights=weights,
        num_classes=num_classes,
        uint8_input=uint8_input,
        argmax=argmax,
        output_stride=parse_stride(output_stride),
        dynamic=dynamic,
        size=parse_size(size) if size is not None else None,
        data=data,
        split=split,
        images=images,
        force=force,
        warn=warn,
    )
    if as_json:
        plain = {key: value for key, value in msgspec.to_builtins(exported.sidecar).items() if key != "recipe"}
        sys.stdout.write(json_text(plain))
        return
    sys.stdout.write(describe_export(exported))


def parse_stride(text: str) -> int | None:
    """A number, or None for `head`.

    Raises:
        RecipeError: R242, it is neither.
    """
    if text == "head":
        return None
    if not text.isdecimal():
        raise RecipeError("R242", f"--output-stride is '{text}'", "give a number such as 4, or head")
    return int(text)


def describe_export(exported: Exported) -> str:
    """What was written and how far it agrees with PyTorch, in a few lines of text."""
    sidecar = exported.sidecar
    size = "any size" if sidecar.input.size is None else f"{sidecar.input.size[1]}x{sidecar.input.size[0]}"
    shape = {
        "NHWC": "uint8 RGB (N, H, W, 3)",
        "NCHW": "float32 (N, C, H, W), normalised",
    }[sidecar.input.layout]
    result = {"logits": "float32 (N, K, h, w)", "labels": "uint8 (N, h, w)"}[sidecar.output.name]
    megabytes = sum((exported.path.parent / name).stat().st_size for name in sidecar.files) / 1e6
    files = [printable(exported.path.with_name(name)) for name in sidecar.files]
    lines = [
        f"written   {', '.join(files)} ({megabytes:.1f} MB)",
        f"input     {sidecar.input.name}: {shape}, {size}",
        f"output    {sidecar.output.name}: {result}, stride {sidecar.output.stride}",
    ]
    if (found := sidecar.verification) is not None:
        lines.append(f"verified  on {found.source}: {100 * found.equal_pixels:.4f} % of the pixels have the same class")
        if found.max_difference is not None:
            lines.append(
                f"          largest difference of a logit {found.max_difference:.2g} of {found.logit_range:.2g}"
            )
        if found.miou_pytorch is not None and found.miou_artefact is not None:
            lines.append(
                f"          mIoU {100 * found.miou_pytorch:.2f} in PyTorch, {100 * found.miou_artefact:.2f} exported"
            )
        if not found.passed:
            lines.append(f"          kept although less than {100 * found.least_equal_pixels:.2f} % are equal")
    return "\n".join(lines) + "\n"


SHOWN_LAYERS = 20
"""On a terminal; JSON has all of them."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which network, and which images; the fields mean what they mean in `quantize`."""

    weights: str | None
    num_classes: int | None
    data: Path | None
    split: str | None
    images: Path | None


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the artefact besides the network, as it was typed."""

    argmax: bool
    uint8_input: bool
    output_stride: str
    dynamic: bool
    size: str | None


def quantize_and_show(
    source: str,
    output: Path | None,
    target: Int8Runtime,
    wanted: Wanted,
    graph: Graph,
    *,
    list_layers: bool,
    max_miou_drop: float | None,
    least_equal: float | None,
    calibration_images: int,
    threads: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure layers, quantize, or both, and print tables and a few lines, or JSON."""
    chosen = msgspec.structs.asdict(wanted)
    size = parse_size(graph.size) if graph.size is not None else None
    stride = parse_stride(graph.output_stride)
    costs = sensitivity(source, **chosen, size=size, warn=warn, progress=_say) if list_layers else None
    if costs is not None and not as_json:
        sys.stdout.write(describe_costs(costs))
    exported = None
    if output is not None:
        exported = quantize(
            source,
            output,
            target,
            **chosen,
            uint8_input=graph.uint8_input,
            argmax=graph.argmax,
            output_stride=stride,
            dynamic=graph.dynamic,
            size=size,
            calibration_images=calibration_images,
            max_miou_drop=max_miou_drop,
            least_equal=least_equal,
            ranking=costs,
            force=force,
            threads=threads,
            warn=warn,
            progress=_say,
        )
    if as_json:
        plain = _plain(costs, exported)
        sys.stdout.write(json_text(plain))
    elif exported is not None:
        sys.stdout.write(describe_quantized(exported))


def describe_costs(costs: Sequence[LayerCost]) -> str:
    """A table of the layers that cost most."""
    table = Table(title="each layer alone in int8, the worst first", title_justify="left", box=None)
    table.add_column("layer")
    table.add_column("mIoU lost (points)", justify="right")
    table.add_column("pixels changed (%)", justify="right")
    for cost in costs[:SHOWN_LAYERS]:
        lost = "-" if cost.miou_drop is None else f"{100 * cost.miou_drop:.2f}"
        table.add_row(cost.name, lost, f"{100 * cost.unequal_pixels:.3f}")
    console = Console(highlight=False, width=120)
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    if len(costs) > SHOWN_LAYERS:
        lines.append(f"and {len(costs) - SHOWN_LAYERS} more that cost less; --json lists all")
    return "\n".join(lines) + "\n"


def describe_quantized(exported: Exported) -> str:
    """As `describe_export`, with what the ranges come from and which layers stayed in float."""
    sidecar = exported.sidecar
    text = describe_export(exported)
    if (calibration := sidecar.calibration) is not None:
        text += f"int8      ranges from {calibration.source}: {calibration.ranges}\n"
    if sidecar.float_layers:
        text += f"in float  {', '.join(sidecar.float_layers)}\n"
    return text


def _plain(costs: Sequence[LayerCost] | None, exported: Exported | None) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if costs is not None:
        plain["sensitivity"] = msgspec.to_builtins(costs)
    if exported is not None:
        sidecar = msgspec.to_builtins(exported.sidecar)
        plain |= {key: value for key, value in sidecar.items() if key != "recipe"}
    return plain


def _say(what: str, done: int, total: int) -> None:
    """Progress, on a terminal only: one line that is written over."""
    if not sys.stderr.isatty():
        return
    words = {"layers": f"layer {done + 1} of {total}", "int8": f"quantizing, {done} of {total} layers kept in float"}
    sys.stderr.write(f"\r\x1b[K{words[what]}\r")
    sys.stderr.flush()
