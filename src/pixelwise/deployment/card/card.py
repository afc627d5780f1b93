"""The deploy card: a run in every form in which it could be delivered, scored and timed beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pixelwise.checkpoints.checkpoint import Warn
from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.deployment.card.candidates import (
    Made,
    Material,
    Method,
    Quantizer,
    Shape,
    make_artefact,
    plan_artefacts,
    reason_of,
)
from pixelwise.deployment.card.scoring import (
    PRECISIONS,
    Ground,
    equal_pixels,
    folder_ground,
    knows_its_data,
    score_artefact,
    score_pytorch,
    split_ground,
)
from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.machine.facts import Machine, computes_bfloat16, machine_facts, version_facts
from pixelwise.profiling.latency import ROUNDS, Candidate, Latency, LatencyRuntime, measure_latency
from pixelwise.recipes.protocols import Size
from pixelwise.runtimes import load_artefact
from pixelwise.runtimes.sidecar import Runtime
from pixelwise.storage import printable

CARD = "card.json"
FORMAT = 1


class CardRow(msgspec.Struct, frozen=True, kw_only=True):
    """One form of the network.

    Attributes:
        name: In words.
        runtime: What runs it.
        precision: Number format of its weights.
        method: How its numbers came to be 8 bits wide; empty: they are not.
        folder: Of the artefact, in the card's folder; empty for PyTorch.
        size_bytes: Of its files; of PyTorch, the weights file; None: there are none.
        miou: 0..1; None: not measured, for want of labels or of the artefact.
        miou_drop: The reference's mIoU minus this one, 0..1; below 0 where this is better.
        equal_pixels: Share of pixels of the same class as in the reference, 0..1.
        latencies: One per number of threads.
        reason: Why there is no such artefact, or no latency; empty where all is well.
    """

    name: str
    runtime: LatencyRuntime
    precision: str
    method: Method = ""
    folder: str = ""
    size_bytes: int | None = None
    miou: float | None = None
    miou_drop: float | None = None
    equal_pixels: float | None = None
    latencies: tuple[Latency, ...] = ()
    reason: str = ""


class DeployCard(msgspec.Struct, frozen=True, kw_only=True):
    """All forms of a network, and what they were measured with. The first row is the reference.

    Attributes:
        format: Version of this file; 1.
        recipe: Name of the recipe.
        recipe_hash: SHA-256 of it, resolved.
        weights_sha256: Of the run's weights file.
        weights: `ema` (averaged) or `model`.
        source: The images that were scored and compared, in words.
        split: Of the data set; empty: images without labels.
        protocol: Name of the protocol; empty likewise.
        images: How many.
        seen_size: (height, width) of the images as the networks saw them; None: the protocol's or their own.
        shape: What the artefacts take and give, and the size that latency is measured at.
        threads: Numbers of threads that were measured.
        rounds: Measured passes of each row and number of threads; 0: latency was not measured.
        max_miou_drop: Largest drop that is allowed, in points of mIoU (percent); None: any.
        machine: The hardware.
        versions: Of Python and the packages that matter.
        rows: The forms.
    """

    format: int = FORMAT
    recipe: str
    recipe_hash: str
    weights_sha256: str
    weights: str
    source: str
    split: str
    protocol: str
    images: int
    seen_size: Size | None
    shape: Shape
    threads: tuple[int, ...]
    rounds: int
    max_miou_drop: float | None
    machine: Machine
    versions: dict[str, str]
    rows: tuple[CardRow, ...]

    def over_budget(self) -> tuple[CardRow, ...]:
        """The rows whose mIoU drops by more than is allowed."""
        allowed = self.max_miou_drop
        if allowed is None:
            return ()
        # A drop of exactly what is allowed must not fail by rounding.
        return tuple(row for row in self.rows if row.miou_drop is not None and 100 * row.miou_drop > allowed + 1e-9)


def deploy(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    targets: Collection[Runtime] = ("onnx", "openvino"),
    int8: Collection[Literal["ptq", "qat"]] = (),
    qat_run: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    images: str | os.PathLike[str] | None = None,
    size: Size | None = None,
    dynamic: bool = False,
    uint8_input: bool = False,
    argmax: bool = False,
    threads: Sequence[int] = (1,),
    rounds: int = ROUNDS,
    max_miou_drop: float | None = None,
    calibration_images: int = 128,
    quantizer: Quantizer | None = None,
    tell: Callable[[str], None] | None = None,
    warn: Warn | None = None,
) -> DeployCard:
    """Export a run to several formats, score and time all of them beside PyTorch.

    What cannot be made (a package is missing, an operator has no place in a format) is a row with the reason.

    Args:
        run: The run folder.
        output: Folder for the artefacts, one folder each; their results are kept in `evaluations` beside them.
        targets: Formats.
        int8: `ptq`: quantized after training as well; `qat`: a run that was trained with 8-bit numbers as well.
        qat_run: That run; None: `run` itself.
        data: Folder of the data set; None: the one of the run.
        split: Of it; None: the recipe's.
        images: Folder of images without labels instead: agreement alone is measured.
        size: (height, width) of all images; None: the one size that the network sees under the protocol. Where
            there is no such size, artefacts take any, and latency is measured at the recipe's size.
        dynamic: Artefacts take any size anyway.
        uint8_input: Artefacts take RGB bytes and normalise inside.
        argmax: Artefacts give class ids.
        threads: Numbers of threads to measure latency with.
        rounds: Measured passes of each; 0: latency is not measured.
        max_miou_drop: In points of mIoU, kept in the card for `check_budget`.
        calibration_images: From how many images a quantizer reads ranges off.
        quantizer: Quantizes after training; None: `deployment.quantization.quantize`.
        tell: Told what is done next, in words.
        warn: Told when a damaged checkpoint was passed over.

    Raises:
        RecipeError: R243 `output` holds a card, R248 or R249 a contradiction between arguments.
        CheckpointError: `run` is no run, or has no weights.
        DataError: The data cannot be opened or read.
        ValueError: Rounds below 0, or threads below 1.
    """
    folder = Path(output)
    _refuse(folder, threads, rounds, max_miou_drop, images)
    say = tell or (lambda _: None)
    trained = load_trained(Path(run), warn)
    if images is not None:
        ground = folder_ground(Path(images), trained.recipe, size, dynamic=dynamic)
    else:
        ground = split_ground(Path(run), trained.recipe, data, split, size, dynamic=dynamic)
    shape = Shape(size=ground.latency_size, dynamic=ground.fixed is None, uint8_input=uint8_input, argmax=argmax)
    plans = plan_artefacts(
        os.fspath(run),
        targets,
        int8,
        shape,
        Material(
            data=data,
            # Its ranges are those of training images; of the images here only where there are no others.
            images=None if knows_its_data(Path(run), trained.recipe) else images,
            calibration_images=calibration_images,
        ),
        qat_run=os.fspath(qat_run) if qat_run is not None else None,
        quantizer=quantizer,
        warn=warn,
    )
    made = []
    for plan in plans:
        say(f"making {plan.name}")
        made.append(make_artefact(plan, folder))
    rows = [
        *_eager_rows(trained, ground, folder, say),
        *(_artefact_row(one, trained, ground, folder, say) for one in made),
    ]
    if rounds:
        say("measuring latency")
    rows = with_latencies(_with_drops(rows), Path(run), folder, shape.size, threads, rounds)
    return DeployCard(
        recipe=trained.recipe.name,
        recipe_hash=trained.recipe.hash(),
        weights_sha256=trained.weights_sha256,
        weights=trained.weights,
        source=ground.source,
        split=ground.split,
        protocol=ground.protocol.name if ground.dataset is not None else "",
        images=ground.count,
        seen_size=ground.fixed,
        shape=shape,
        threads=tuple(threads),
        rounds=rounds,
        max_miou_drop=max_miou_drop,
        machine=machine_facts(),
        versions=version_facts() | _versions_of(made),
        rows=tuple(rows),
    )


def check_budget(card: DeployCard) -> None:
    """Fail where the card's budget is broken.

    Raises:
        CheckpointError: K468, naming the rows.
    """
    broken = card.over_budget()
    if broken:
        found = ", ".join(f"{row.name} {100 * (row.miou_drop or 0.0):.2f}" for row in broken)
        raise CheckpointError(
            "K468",
            f"the mIoU drops by more than {card.max_miou_drop:g} points: {found}",
            "deliver another row of the card, quantize with more calibration images, or train with 8-bit numbers "
            "(pixelwise train RECIPE quantization=x86-8bit --from RUN) and add --int8 qat --qat-run",
        )


def with_latencies(
    rows: Sequence[CardRow], run: Path, output: Path, size: Size, threads: Sequence[int], rounds: int
) -> list[CardRow]:
    """The rows with their latencies, measured in turns; a row that cannot be measured says why.

    Args:
        rows: Without latencies.
        run: The run folder, for PyTorch.
        output: Where the artefacts' folders are.
        size: (height, width).
        threads: Numbers of threads.
        rounds: Measured passes of each; 0: latency is not measured.
    """

    def candidates(row: CardRow) -> list[Candidate]:
        source = str(output / row.folder) if row.folder else str(run)
        return [Candidate(source=source, runtime=row.runtime, threads=count) for count in threads]

    def measure(indices: Sequence[int], passes: int) -> list[Latency]:
        return measure_latency([one for index in indices for one in candidates(rows[index])], size, rounds=passes)

    finished = list(rows)
    chosen = [index for index, row in enumerate(rows) if not row.reason]
    if rounds == 0 or not chosen:
        return finished
    try:
        found = measure(chosen, rounds)
    except (PixelwiseError, RuntimeError):
        # One that fails must not take the others with it: each is asked alone, and those that answer take turns.
        for index in tuple(chosen):
            try:
                measure([index], 1)
            except (PixelwiseError, RuntimeError) as error:
                reason = reason_of(error) if isinstance(error, PixelwiseError) else str(error)
                finished[index] = msgspec.structs.replace(rows[index], reason=reason)
                chosen.remove(index)
        found = measure(chosen, rounds) if chosen else []
    for place, index in enumerate(chosen):
        own = tuple(found[place * len(threads) : (place + 1) * len(threads)])
        finished[index] = msgspec.structs.replace(rows[index], latencies=own)
    return finished


def _refuse(
    output: Path,
    threads: Sequence[int],
    rounds: int,
    max_miou_drop: float | None,
    images: str | os.PathLike[str] | None,
) -> None:
    if rounds < 0 or min(threads) < 1:
        raise ValueError("rounds must be 0 or more, threads 1 or more")
    if output.is_dir() and any(output.iterdir()):
        raise RecipeError("R243", f"{printable(output)} is not empty", "choose another --output")
    if max_miou_drop is not None and images is not None:
        raise RecipeError(
            "R249",
            "--max-miou-drop needs labels, and --images has none",
            "leave one of them out, or give labelled images with --data",
        )


def _eager_rows(trained: TrainedModel, ground: Ground, output: Path, say: Callable[[str], None]) -> list[CardRow]:
    """PyTorch as users run it; the first row is the reference."""
    runtimes: list[LatencyRuntime] = ["torch"]
    if trained.recipe.quantization == "none":
        runtimes += ["torch-channels-last", *(["torch-bf16"] if computes_bfloat16() else [])]  # type: ignore[list-item]
    names = {
        "torch": "PyTorch",
        "torch-channels-last": "PyTorch, channels last",
        "torch-bf16": "PyTorch, bfloat16",
    }
    file = trained.checkpoint.path / f"{trained.weights}.safetensors"
    rows = []
    for runtime in runtimes:
        say(f"scoring {names[runtime]}")
        rows.append(
            CardRow(
                name=names[runtime],
                runtime=runtime,
                precision="bfloat16" if runtime == "torch-bf16" else "float32",
                method="qat" if trained.recipe.quantization != "none" else "",
                size_bytes=file.stat().st_size,
                miou=score_pytorch(trained, ground, runtime, output),
                equal_pixels=equal_pixels(trained.model, trained.model, ground, PRECISIONS[runtime]),
            )
        )
    return rows


def _artefact_row(
    made: Made, trained: TrainedModel, ground: Ground, output: Path, say: Callable[[str], None]
) -> CardRow:
    plan = made.plan
    name = {"onnx": "ONNX Runtime", "openvino": "OpenVINO", "torch-export": "torch.export", "executorch": "ExecuTorch"}[
        plan.runtime
    ]
    if plan.method:
        name += {"ptq": ", int8 after training", "qat": ", int8 trained"}[plan.method]
    row = CardRow(
        name=name,
        runtime=plan.runtime,
        precision="int8" if plan.method else "float32",
        method=plan.method,
        folder=plan.name,
        reason=made.reason,
    )
    if made.exported is None:
        return row
    path = made.exported.path
    row = msgspec.structs.replace(
        row,
        precision=made.exported.sidecar.precision,
        size_bytes=sum((path.parent / file).stat().st_size for file in made.exported.sidecar.files),
    )
    say(f"scoring {name}")
    try:
        return msgspec.structs.replace(
            row,
            miou=score_artefact(path.parent, ground),
            equal_pixels=equal_pixels(trained.model, load_artefact(path.parent), ground),
        )
    except CheckpointError as error:
        return msgspec.structs.replace(row, reason=reason_of(error))


def _with_drops(rows: Sequence[CardRow]) -> list[CardRow]:
    reference = rows[0].miou
    return [
        msgspec.structs.replace(row, miou_drop=reference - row.miou)
        if reference is not None and row.miou is not None
        else row
        for row in rows
    ]


def _versions_of(made: Sequence[Made]) -> dict[str, str]:
    """Of the packages that made the artefacts."""
    found: dict[str, str] = {}
    for one in made:
        if one.exported is not None:
            found |= one.exported.sidecar.versions
    return found
