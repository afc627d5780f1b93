"""The end of `pixelwise export`: what was written, and how far it agrees with PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from pixelwise.deployment.export import Exported, export
from pixelwise.errors import RecipeError
from pixelwise.recipes.protocols import parse_size
from pixelwise.reports.summary import warn
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
