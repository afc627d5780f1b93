"""Which artefacts a deploy card compares, and how each comes to be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from pixelwise.datasets.run_data import knows_its_data
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.export.export import Exported, export
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.deployment.int8.options import QuantizeOptions
from pixelwise.deployment.int8.quantize import int8_artefact
from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.sizes import Size
from pixelwise.records.run_folder import read_recipe
from pixelwise.runtimes.targets import Target, find_target, list_targets, quantizable_names, target_names
from pixelwise.storage import printable

Method = Literal["", "ptq", "qat"]
"""How numbers came to be 8 bits wide: not at all, after training, or during it."""


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


class ArtefactPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact to be made.

    Attributes:
        name: Name of its folder in the card's folder.
        source: The run folder that it is made from.
        method: The way in which it is quantized.
        options: How it is made: those of `quantize` where it is quantized after training, else those of `export`.
    """

    name: str
    source: str
    method: Method
    options: ExportOptions | QuantizeOptions

    @property
    def runtime(self) -> str:
        """Name of the target that it is exported to."""
        return self.options.target


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


def plan_artefacts(run: str | os.PathLike[str], options: DeployOptions, shape: Shape) -> list[ArtefactPlan]:
    """The artefacts of a card, in the order of its rows.

    Args:
        run: The run folder.
        options: The targets and the kinds of int8 that are asked for.
        shape: What all artefacts take and give.

    Raises:
        RecipeError: R248, something that is asked for cannot be planned; R250, there is no such target.
    """
    targets = _targets(options)
    if options.qat_run is not None and "qat" not in options.int8:
        raise RecipeError(
            "R248", "`qat_run` is given, but `int8` does not ask for qat", "add qat to `int8`, or leave `qat_run` out"
        )
    run, facts = os.fspath(run), msgspec.structs.asdict(shape)
    # Of a run that was trained with 8-bit numbers some artefacts hold them already.
    own = trained_in_8_bits(run)
    plans = [
        _export_plan(run, target, facts, "qat" if own and target.trained_int8 else "", target.name)
        for target in targets
    ]
    if "ptq" in options.int8:
        facts_of_images = {
            "data": options.data,
            # Its ranges are those of training images; of the images here only where there are no others.
            "images": None if knows_its_data(Path(run), read_recipe(Path(run))) else options.images,
            "calibration_images": options.calibration_images,
        }
        plans += [
            ArtefactPlan(
                name=f"{target.name}-int8-ptq",
                source=run,
                method="ptq",
                options=QuantizeOptions(target=target.name, force=True, **facts, **facts_of_images),
            )
            for target in targets
            if target.quantizer
        ]
    if "qat" in options.int8:
        source = _trained_in_8_bits(run, options.qat_run)
        for target in [one for one in targets if one.trained_int8] or _any_trained_int8():
            if not (own and source == run and target in targets):
                plans.append(_export_plan(source, target, facts, "qat", f"{target.name}-int8-qat"))
    return plans


def make_artefact(plan: ArtefactPlan, output: Path, observer: Observer = SILENT) -> Made:
    """Make one artefact in `output/name`; where that cannot be, say why."""
    folder = output / plan.name
    try:
        if isinstance(plan.options, QuantizeOptions):
            exported = int8_artefact(plan.source, folder, plan.options, observer=observer)
        else:
            exported = export(plan.source, folder, options=plan.options, observer=observer)
        return Made(plan=plan, exported=exported)
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


def _targets(options: DeployOptions) -> list[Target]:
    """The targets that are asked for, each once.

    Raises:
        RecipeError: R250, there is no such target; R248, there is none at all, or none that is quantized.
    """
    if not options.targets:
        raise RecipeError("R248", "`targets` names no format", f"choose from: {', '.join(target_names())}")
    targets = [find_target(name) for name in dict.fromkeys(options.targets)]
    if "ptq" in options.int8 and not any(target.quantizer for target in targets):
        raise RecipeError(
            "R248",
            f"ptq quantizes {' and '.join(quantizable_names())}; `targets` is {','.join(options.targets)}",
            "add one of them to `targets`",
        )
    return targets


def _any_trained_int8() -> list[Target]:
    """A target that computes in int8 what was trained so, where none of those that are asked for does."""
    return [target for target in list_targets() if target.trained_int8][:1]


def _export_plan(source: str, target: Target, shape: dict[str, Any], method: Method, name: str) -> ArtefactPlan:
    return ArtefactPlan(name=name, source=source, method=method, options=ExportOptions(target=target.name, **shape))


def _trained_in_8_bits(run: str, qat_run: str | os.PathLike[str] | None) -> str:
    """The run that was trained with 8-bit numbers: the one that is named, or `run` itself.

    Raises:
        RecipeError: R248, it was not trained with them, or tells other classes apart.
    """
    trained = os.fspath(qat_run) if qat_run is not None else run
    if not trained_in_8_bits(trained):
        raise RecipeError(
            "R248",
            f"{printable(Path(trained))} was not trained with 8-bit numbers, which qat in `int8` asks for",
            f"pixelwise train RECIPE quantization=x86-8bit --from {printable(Path(run))} trains on with them; "
            "name that run as `qat_run`",
        )
    ours, theirs = (read_recipe(Path(folder)).data.class_names() for folder in (run, trained))
    if ours is not None and theirs is not None and ours != theirs:
        raise RecipeError(
            "R248",
            f"`qat_run`: {printable(Path(trained))} has the classes {_few(theirs)}, {printable(Path(run))} has "
            f"{_few(ours)}",
            f"name a run that began with {printable(Path(run))}",
        )
    return trained


def _few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''} ({len(names)})"
