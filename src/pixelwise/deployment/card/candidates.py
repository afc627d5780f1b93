"""Which artefacts a deploy card compares, and how each comes to be."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal, Protocol, cast

import msgspec

from pixelwise.checkpoints.checkpoint import Warn
from pixelwise.deployment.export.export import Exported, export
from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.recipes.protocols import Size
from pixelwise.records.run_folder import read_recipe
from pixelwise.runtimes.sidecar import Runtime
from pixelwise.storage import printable

Method = Literal["", "ptq", "qat"]
"""How numbers came to be 8 bits wide: not at all, after training, or during it."""
QUANTIZABLE: tuple[Runtime, ...] = ("onnx", "openvino")
"""The formats that are quantized after training."""
ALL: tuple[Runtime, ...] = ("onnx", "openvino", "torch-export", "executorch")


class Exporter(Protocol):
    """What `deployment.export.export` is."""

    def __call__(
        self,
        source: str,
        output: Path,
        target: Runtime,
        *,
        uint8_input: bool,
        argmax: bool,
        dynamic: bool,
        size: Size,
        warn: Warn | None,
    ) -> Exported:
        """Write an artefact into `output`."""
        ...


class Quantizer(Protocol):
    """What quantizes a run after its training."""

    def __call__(
        self,
        source: str,
        output: Path,
        target: Runtime,
        *,
        uint8_input: bool,
        argmax: bool,
        dynamic: bool,
        size: Size,
        data: str | os.PathLike[str] | None,
        images: str | os.PathLike[str] | None,
        calibration_images: int,
        force: bool,
        warn: Warn | None,
    ) -> Exported:
        """Write a quantized artefact into `output`; with `force` even if it differs from PyTorch."""
        ...


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What all artefacts of a card take and give.

    Attributes:
        size: (height, width) of the images; where any size goes, the one that latency is measured at.
        dynamic: They take any number of images of any size.
        uint8_input: They take RGB bytes.
        argmax: They give class ids.
    """

    size: Size
    dynamic: bool
    uint8_input: bool = False
    argmax: bool = False


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """Where a quantizer finds images.

    Attributes:
        data: Folder of the data set; None: the run's own.
        images: Folder of images, where there is no data set.
        calibration_images: From how many ranges are read off.
    """

    data: str | os.PathLike[str] | None
    images: str | os.PathLike[str] | None
    calibration_images: int


class ArtefactPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact to be made.

    Attributes:
        name: Of its folder in the card's folder.
        runtime: What runs it.
        method: How it is quantized.
        make: Makes it in the folder that it is given.
    """

    name: str
    runtime: Runtime
    method: Method
    make: Callable[[Path], Exported]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a plan.

    Attributes:
        plan: The plan.
        exported: The artefact; None: there is none.
        reason: Why there is none.
    """

    plan: ArtefactPlan
    exported: Exported | None
    reason: str = ""


def plan_artefacts(
    run: str,
    targets: Collection[Runtime],
    int8: Collection[str],
    shape: Shape,
    material: Material,
    *,
    qat_run: str | None = None,
    exporter: Exporter = export,
    quantizer: Quantizer | None = None,
    warn: Warn | None = None,
) -> list[ArtefactPlan]:
    """The artefacts of a card, in the order of its rows.

    Args:
        run: The run folder.
        targets: Formats.
        int8: `ptq`, `qat`, both or neither.
        shape: What they take and give.
        material: Where a quantizer finds images.
        qat_run: A run that was trained with 8-bit numbers; None: `run` itself is one.
        exporter: Writes an artefact.
        quantizer: Writes a quantized one; None: `deployment.quantization.quantize`.
        warn: Told when a damaged checkpoint was passed over.

    Raises:
        RecipeError: R248, something that is asked for cannot be planned.
    """
    _refuse_unknown(targets, int8)
    own = trained_in_8_bits(run)
    if "qat" in int8:
        _refuse_qat_run(run, qat_run)
    elif qat_run is not None:
        raise RecipeError("R248", "--qat-run is given without --int8 qat", "add --int8 qat, or leave --qat-run out")

    def exporting(source: str, target: Runtime) -> Callable[[Path], Exported]:
        facts = msgspec.structs.asdict(shape)
        return lambda folder: exporter(source, folder, target, warn=warn, **facts)

    def quantizing(target: Runtime) -> Callable[[Path], Exported]:
        facts = msgspec.structs.asdict(shape) | msgspec.structs.asdict(material)
        return lambda folder: (quantizer or _quantizer())(run, folder, target, force=True, warn=warn, **facts)

    # Of a run that was trained with 8-bit numbers an ONNX file already holds them.
    ordered: list[Runtime] = [target for target in ALL if target in targets]
    plans: list[ArtefactPlan] = [
        ArtefactPlan(
            name=target,
            runtime=target,
            method="qat" if own and target == "onnx" else "",
            make=exporting(run, target),
        )
        for target in ordered
    ]
    if "ptq" in int8:
        plans += [
            ArtefactPlan(name=f"{target}-int8-ptq", runtime=target, method="ptq", make=quantizing(target))
            for target in ordered
            if target in QUANTIZABLE
        ]
    source = qat_run if qat_run is not None else run
    if "qat" in int8 and not (own and source == run and "onnx" in targets):
        plans.append(ArtefactPlan(name="onnx-int8-qat", runtime="onnx", method="qat", make=exporting(source, "onnx")))
    return plans


def make_artefact(plan: ArtefactPlan, output: Path) -> Made:
    """Make one artefact in `output/name`; where that cannot be, say why."""
    folder = output / plan.name
    try:
        return Made(plan=plan, exported=plan.make(folder))
    except PixelwiseError as error:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        return Made(plan=plan, exported=None, reason=reason_of(error))


def reason_of(error: PixelwiseError) -> str:
    """An error as a remark in a table."""
    return f"[{error.code}] {error.message}" + (f"; {error.help}" if error.help else "")


def trained_in_8_bits(run: str | os.PathLike[str]) -> bool:
    """Whether a run was trained with its numbers rounded to 8 bits.

    Raises:
        CheckpointError: K420, it is no run.
    """
    return read_recipe(Path(run)).quantization != "none"


def _refuse_qat_run(run: str, qat_run: str | None) -> None:
    """Refuse a run that has no 8-bit numbers, or tells other classes apart."""
    trained = qat_run if qat_run is not None else run
    if not trained_in_8_bits(trained):
        raise RecipeError(
            "R248",
            f"--int8 qat: {printable(Path(trained))} was not trained with 8-bit numbers",
            f"pixelwise train RECIPE quantization=x86-8bit --from {printable(Path(run))} trains on with them; "
            "name that run with --qat-run",
        )
    ours, theirs = (read_recipe(Path(folder)).data.class_names() for folder in (run, trained))
    if ours is not None and theirs is not None and ours != theirs:
        raise RecipeError(
            "R248",
            f"--qat-run: {printable(Path(trained))} has the classes {_few(theirs)}, {printable(Path(run))} has "
            f"{_few(ours)}",
            f"name a run that began with {printable(Path(run))}",
        )


def _few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''} ({len(names)})"


def _refuse_unknown(targets: Collection[str], int8: Collection[str]) -> None:
    for option, given, known in (("--targets", targets, ALL), ("--int8", int8, ("ptq", "qat"))):
        for name in given:
            if name not in known:
                raise RecipeError("R248", f"{option} names '{name}'", f"choose from: {', '.join(known)}")
    if not targets:
        raise RecipeError("R248", "--targets names no format", f"choose from: {', '.join(ALL)}")
    if "ptq" in int8 and not set(targets) & set(QUANTIZABLE):
        raise RecipeError(
            "R248",
            f"--int8 ptq quantizes {' and '.join(QUANTIZABLE)}; --targets is {','.join(targets)}",
            "add one of them to --targets",
        )


def _quantizer() -> Quantizer:
    from pixelwise.deployment.int8.quantize import quantize

    return cast("Quantizer", quantize)  # it takes only the formats that `plan_artefacts` asks it for
