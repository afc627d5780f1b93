"""Exported and quantized artefacts, for a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.table import Table

from pixelwise.deployment.export.export import Exported
from pixelwise.deployment.int8.quantize import Quantized
from pixelwise.deployment.int8.sensitivity import LayerCost
from pixelwise.reports.standard_output import write, write_json
from pixelwise.reports.terminals import Console
from pixelwise.runtimes.reading import size_of
from pixelwise.runtimes.sidecar import Sidecar
from pixelwise.storage import printable


def show_exported(exported: Exported, *, as_json: bool) -> None:
    """Print what was written and how closely it agrees with PyTorch, or as JSON `model.toml` without the recipe."""
    if as_json:
        write_json(_plain(exported))
    else:
        write(describe_export(exported))


def show_quantized(found: Quantized, *, as_json: bool) -> None:
    """Print the cost of the layers and what was written, or all of it as JSON."""
    if as_json:
        plain: dict[str, Any] = {"sensitivity": msgspec.to_builtins(found.layers)} if found.layers else {}
        write_json(plain | (_plain(found.artefact) if found.artefact is not None else {}))
        return
    if found.layers:
        write(describe_costs(found.layers))
    if found.artefact is not None:
        write(describe_quantized(found.artefact))


def describe_export(exported: Exported) -> str:
    """A few lines of text: what was written and how closely it agrees with PyTorch."""
    sidecar = exported.sidecar
    size = "any size" if sidecar.input.size is None else f"{sidecar.input.size[1]}x{sidecar.input.size[0]}"
    if sidecar.input.size is not None and sidecar.inference is not None:
        ways = {"exact": "all images are brought to it", "none": "images of other sizes go through windows of it"}
        size += f" ({ways.get(sidecar.inference.resize, 'resized images of other sizes go through windows of it')})"
    channels = sidecar.preprocessing.in_channels
    shape = {
        "NHWC": "uint8 RGB (N, H, W, 3)" if channels == 3 else f"uint8 (N, H, W, {channels})",
        "NCHW": "float32 (N, C, H, W), normalised",
    }[sidecar.input.layout]
    result = {"logits": "float32 (N, K, h, w)", "labels": "uint8 (N, h, w)"}[sidecar.output.name]
    megabytes = sum(size_of(exported.path.parent / name) for name in sidecar.files) / 1e6
    files = [printable(exported.path.with_name(name)) for name in sidecar.files]
    lines = [
        f"written   {', '.join(files)} ({megabytes:.1f} MB)",
        f"input     {sidecar.input.name}: {shape}, {size}",
        f"output    {sidecar.output.name}: {result}, stride {sidecar.output.stride}",
        *_enlarging(sidecar),
    ]
    if exported.page is not None:
        lines.insert(0, f"page      {printable(exported.page)}")
    if (found := sidecar.verification) is not None:
        lines.append(f"verified  on {found.source}: {100 * found.equal_pixels:.4f} % of pixels get the same class")
        if found.max_difference is not None:
            lines.append(
                f"          largest logit difference {found.max_difference:.2g} (logit range {found.logit_range:.2g})"
            )
        if found.miou_pytorch is not None and found.miou_artefact is not None:
            lines.append(
                f"          mIoU {100 * found.miou_pytorch:.2f} in PyTorch, {100 * found.miou_artefact:.2f} exported"
            )
        if not found.passed:
            lines.append(f"          kept although fewer than {100 * found.least_equal_pixels:.2f} % agree")
    if sidecar.unverified:
        lines.append(f"verified  no: {sidecar.unverified}")
    return "\n".join(lines) + "\n"


def _enlarging(sidecar: Sidecar) -> list[str]:
    """A line on how logits become a mask, where the run resizes images before the network; otherwise none."""
    inference, output = sidecar.inference, sidecar.output
    resizes = inference is not None and inference.resize != "none" and inference.pad_to is None
    if not resizes or output.name != "logits" or output.head_stride in (None, 1):
        return []
    if output.enlarged_to is None:
        return [
            "          the stride of the network's own logits, because the run resizes images before the network:",
            "          enlarge them once, to the size of the mask, as the run does",
        ]
    return [
        "          the run resizes images before the network and enlarges logits once; these are enlarged twice,",
        "          so pixels along outlines can differ (--output-stride head)",
    ]


SHOWN_LAYERS = 20
"""Number of layers listed on a terminal; JSON has all of them."""


def describe_costs(costs: Sequence[LayerCost]) -> str:
    """A table of the layers that cost most in int8."""
    table = Table(title="each layer alone in int8, worst first", title_justify="left", box=None)
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
        lines.append(f"and {len(costs) - SHOWN_LAYERS} more that cost less; --json lists them all")
    return "\n".join(lines) + "\n"


def describe_quantized(exported: Exported) -> str:
    """Like `describe_export`, plus the source of the int8 ranges and the layers that stayed in float."""
    sidecar = exported.sidecar
    text = describe_export(exported)
    if (calibration := sidecar.calibration) is not None:
        text += f"int8      ranges from {calibration.source}: {calibration.ranges}\n"
    if sidecar.float_layers:
        text += f"in float  {', '.join(sidecar.float_layers)}\n"
    return text


def _plain(exported: Exported) -> dict[str, Any]:
    """The content of `model.toml` without the recipe."""
    return {key: value for key, value in msgspec.to_builtins(exported.sidecar).items() if key != "recipe"}
