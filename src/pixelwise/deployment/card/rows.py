"""The rows of a deploy card: what each form of the network scores, and how far it agrees with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.checkpoints.trained import TrainedModel
from pixelwise.deployment.card.candidates import Made, Method, reason_of
from pixelwise.deployment.card.images import ComparisonImages
from pixelwise.deployment.card.scoring import equal_pixels, score_artefact, score_pytorch
from pixelwise.errors import CheckpointError
from pixelwise.machine.facts import computes_bfloat16
from pixelwise.observer import Observer
from pixelwise.profiling.latency import Latency
from pixelwise.profiling.runtimes import EAGER, label_of
from pixelwise.runtimes import load_artefact

METHODS: dict[Method, str] = {"": "", "ptq": ", int8 after training", "qat": ", int8 trained"}
"""How a method stands behind the name of the runtime."""


class CardRow(msgspec.Struct, frozen=True, kw_only=True):
    """One form of the network.

    Attributes:
        name: What tables and charts call it.
        runtime: `torch`, `torch-channels-last`, `torch-bf16`, or the name of the target that it was exported to.
        precision: Number format of its weights.
        method: How its numbers came to be 8 bits wide; empty: they are not.
        folder: Name of the artefact's folder in the card's folder; empty for PyTorch.
        size_bytes: Size of its files, of PyTorch that of the weights file; None: there are none.
        miou: 0..1; None: not measured, for want of labels or of the artefact.
        miou_drop: The reference's mIoU minus this one, 0..1; below 0 where this is better.
        equal_pixels: Share of pixels of the same class as in the reference, 0..1.
        latencies: One per number of threads.
        reason: Why there is no such artefact, or no latency; empty where all is well.
    """

    name: str
    runtime: str
    precision: str
    method: Method = ""
    folder: str = ""
    size_bytes: int | None = None
    miou: float | None = None
    miou_drop: float | None = None
    equal_pixels: float | None = None
    latencies: tuple[Latency, ...] = ()
    reason: str = ""


def eager_rows(trained: TrainedModel, images: ComparisonImages, output: Path, observer: Observer) -> list[CardRow]:
    """PyTorch as users run it; the first row is the reference.

    Args:
        trained: The run's network.
        images: The images to score it on.
        output: The card's folder, where the results are kept.
        observer: Told which form is scored.
    """
    quantized = trained.recipe.quantization != "none"
    file = trained.checkpoint.path / f"{trained.weights}.safetensors"
    rows = []
    for runtime, form in EAGER.items():
        # The reference is always there. Of what was trained with 8-bit numbers it is the only form, and without
        # instructions for bfloat16 that form would be slower than it for nothing.
        if rows and (quantized or (form.precision.dtype == "bfloat16" and not computes_bfloat16())):
            continue
        observer.phase(f"scoring {form.label}")
        rows.append(
            CardRow(
                name=form.label,
                runtime=runtime,
                precision=form.precision.dtype,
                method="qat" if quantized else "",
                size_bytes=file.stat().st_size,
                miou=score_pytorch(trained, images, runtime, output),
                equal_pixels=equal_pixels(trained.model, trained.model, images, form.precision),
            )
        )
    return rows


def artefact_row(made: Made, trained: TrainedModel, images: ComparisonImages, observer: Observer) -> CardRow:
    """What an artefact scores; where there is none, or where it fails, the reason.

    Args:
        made: The artefact, or why there is none.
        trained: The run's network, to compare with.
        images: The images to score it on.
        observer: Told which artefact is scored.
    """
    plan = made.plan
    row = CardRow(
        name=label_of(plan.runtime) + METHODS[plan.method],
        runtime=plan.runtime,
        precision="int8" if plan.method else "float32",
        method=plan.method,
        folder=plan.name,
        reason=made.reason,
    )
    if made.exported is None:
        return row
    folder = made.exported.path.parent
    row = msgspec.structs.replace(
        row,
        precision=made.exported.sidecar.precision,
        size_bytes=sum((folder / file).stat().st_size for file in made.exported.sidecar.files),
    )
    observer.phase(f"scoring {row.name}")
    try:
        artefact = load_artefact(folder)
        return msgspec.structs.replace(
            row,
            miou=score_artefact(artefact, folder, images),
            equal_pixels=equal_pixels(trained.model, artefact, images),
        )
    except CheckpointError as error:
        return msgspec.structs.replace(row, reason=reason_of(error))


def with_drops(rows: Sequence[CardRow]) -> list[CardRow]:
    """The rows with what each loses against the first one."""
    reference = rows[0].miou
    return [
        msgspec.structs.replace(row, miou_drop=reference - row.miou)
        if reference is not None and row.miou is not None
        else row
        for row in rows
    ]
