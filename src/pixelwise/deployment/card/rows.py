"""Rows of a deploy card: the score of each variant of the network, and its agreement with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.checkpoints.trained import TrainedModel
from pixelwise.deployment.card.candidates import Method, PlanResult, reason_of
from pixelwise.deployment.card.images import ComparisonImages
from pixelwise.deployment.card.scoring import equal_pixels, score_artefact, score_pytorch
from pixelwise.errors import CheckpointError
from pixelwise.machine.facts import computes_bfloat16
from pixelwise.observer import Observer
from pixelwise.profiling.latency import Latency
from pixelwise.profiling.runtimes import EAGER, label_of
from pixelwise.records.environment import Ancestor
from pixelwise.runtimes import load_artefact
from pixelwise.runtimes.reading import size_of

METHODS: dict[Method, str] = {"": "", "ptq": ", int8 after training", "qat": ", int8 trained"}
"""Quantization method -> suffix of the row's name, after the runtime."""


class CardRow(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of the network.

    Attributes:
        name: Name in tables and charts.
        runtime: `torch`, `torch-channels-last`, `torch-bf16`, or the name of the export target.
        precision: Number format of the weights.
        method: Quantization method; empty if it is not quantized.
        folder: Name of the artefact's folder in the card's folder; empty for PyTorch.
        size_bytes: Size of the artefact's files, for PyTorch that of the weights file; None without an artefact.
        miou: Mean IoU, 0..1; None without labels or without an artefact.
        miou_drop: The reference's mIoU minus this one (0..1); negative if this one is better.
        equal_pixels: Share of pixels with the same class as in the reference, 0..1.
        latencies: One entry per number of threads.
        reason: Why there is no artefact or no latency; empty otherwise.
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


def eager_rows(
    trained: TrainedModel,
    images: ComparisonImages,
    output: Path,
    observer: Observer,
    derived_from: tuple[Ancestor, ...] = (),
) -> list[CardRow]:
    """The rows of PyTorch without export; the first one is the reference.

    Args:
        trained: The run's network.
        images: Images to score it on.
        output: The card's folder, where evaluation results are stored.
        observer: Receives the name of the variant being scored, and the number of images done.
        derived_from: The networks that the run's weights were derived from.
    """
    quantized = trained.recipe.quantization != "none"
    file = trained.checkpoint.path / f"{trained.weights}.safetensors"
    rows = []
    for runtime, form in EAGER.items():
        # The reference is always included. It is the only variant of a network from QAT, and bfloat16 is left out
        # on processors without instructions for it, where it would only be slower.
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
                miou=score_pytorch(trained, images, runtime, output, observer, derived_from=derived_from),
                equal_pixels=equal_pixels(trained.model, trained.model, images, form.precision),
            )
        )
    return rows


def artefact_row(
    made: PlanResult, trained: TrainedModel, images: ComparisonImages, named: Path, observer: Observer
) -> CardRow:
    """The row of an artefact with its score; if there is none, or if it fails, with the reason.

    Args:
        made: The artefact, or the reason why there is none.
        trained: The run's network, to compare with.
        images: Images to score the artefact on.
        named: Where the artefact's folder will be found later.
        observer: Receives the name of the artefact being scored, and the number of images done.
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
        size_bytes=sum(size_of(folder / file) for file in made.exported.sidecar.files),
    )
    observer.phase(f"scoring {row.name}")
    try:
        artefact = load_artefact(folder, trust=True)  # it was written by this call
        return msgspec.structs.replace(
            row,
            miou=score_artefact(artefact, folder, images, observer, named=named),
            equal_pixels=equal_pixels(trained.model, artefact, images),
        )
    except CheckpointError as error:
        return msgspec.structs.replace(row, reason=reason_of(error))


def with_drops(rows: Sequence[CardRow]) -> list[CardRow]:
    """Rows with `miou_drop` filled in, relative to the first row."""
    reference = rows[0].miou
    return [
        msgspec.structs.replace(row, miou_drop=reference - row.miou)
        if reference is not None and row.miou is not None
        else row
        for row in rows
    ]
