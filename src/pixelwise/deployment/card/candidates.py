"""Selection and creation of the artefacts that a deploy card compares."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
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

_ADVICE = {"K465": "leave this format out of `targets`, or choose another `size`"}
"""Code of an error -> help that names options of `deploy` instead of those of `export`."""
_ENDING = ("S601", "S602")
"""Codes of errors that would befall every artefact: the disk is full."""
Method = Literal["", "ptq", "qat"]
"""Quantization method: none, post-training quantization (PTQ), or quantization-aware training (QAT)."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Input and output formats of all artefacts of a card.

    Attributes:
        size: (height, width) of the images; for dynamic artefacts the size at which latency is measured.
        dynamic: Whether artefacts take any number of images of any size.
        uint8_input: Whether artefacts take uint8 RGB.
        argmax: Whether artefacts return class ids.
    """

    size: Size
    dynamic: bool
    uint8_input: bool = False
    argmax: bool = False


class ArtefactPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Plan of one artefact.

    Attributes:
        name: Name of the artefact's folder in the card's folder.
        source: The run folder to export.
        method: Quantization method.
        options: Options of `quantize` for post-training quantization, otherwise those of `export`.
    """

    name: str
    source: str
    method: Method
    options: ExportOptions | QuantizeOptions

    @property
    def runtime(self) -> str:
        """Name of the export target."""
        return self.options.target


class PlanResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a plan: an artefact, or the reason why there is none.

    Attributes:
        plan: Plan of the artefact.
        exported: The artefact; None if it could not be made.
        reason: Why it could not be made; empty otherwise.
    """

    plan: ArtefactPlan
    exported: Exported | None
    reason: str = ""


def plan_artefacts(run: str | os.PathLike[str], options: DeployOptions, shape: Shape) -> list[ArtefactPlan]:
    """Plan the artefacts of a card, in the order of its rows.

    Args:
        run: The run folder.
        options: Targets, quantization methods and calibration data.
        shape: Input and output formats of all artefacts.

    Raises:
        RecipeError: R248, the options contradict each other; R250, there is no such target.
    """
    targets = _targets(options)
    if options.qat_run is not None and "qat" not in options.int8:
        raise RecipeError(
            "R248", "`qat_run` is given, but `int8` does not contain qat", "add qat to `int8`, or leave `qat_run` out"
        )
    run, facts = os.fspath(run), msgspec.structs.asdict(shape)
    # If the run itself is from quantization-aware training, some of its plain exports are int8 already.
    own = trained_in_8_bits(run)
    plans = [
        _export_plan(run, target, facts, "qat" if own and target.trained_int8 else "", target.name)
        for target in targets
    ]
    if "ptq" in options.int8:
        facts_of_images = {
            "data": options.data,
            "split": options.split,
            # Ranges come from training images; from the given images only if the training images are unknown.
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


def advised(error: PixelwiseError, advice: Mapping[str, str]) -> PixelwiseError:
    """An error whose help is that of `advice` for its code, for callers that lack the options of its own help."""
    help = advice.get(error.code)
    return error if help is None else type(error)(error.code, error.message, help)


def make_artefact(plan: ArtefactPlan, output: Path, observer: Observer = SILENT) -> PlanResult:
    """Make one artefact in `output/name`; if that fails, the result holds the reason instead.

    Raises:
        ResourceError: S601 or S602, the disk is full.
    """
    folder = output / plan.name
    try:
        if isinstance(plan.options, QuantizeOptions):
            exported = int8_artefact(plan.source, folder, plan.options, observer=observer)
        else:
            exported = export(plan.source, folder, options=plan.options, observer=observer)
        return PlanResult(plan=plan, exported=exported)
    except PixelwiseError as error:
        if error.code in _ENDING:
            raise
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        return PlanResult(plan=plan, exported=None, reason=reason_of(advised(error, _ADVICE)))


def reason_of(error: PixelwiseError) -> str:
    """An error as one line of text, for a cell of a table."""
    return f"[{error.code}] {error.message}" + (f"; {error.help}" if error.help else "")


def trained_in_8_bits(run: str | os.PathLike[str]) -> bool:
    """Whether a run is from quantization-aware training.

    Raises:
        CheckpointError: K420, the folder is not a run.
    """
    return read_recipe(Path(run)).quantization != "none"


def _targets(options: DeployOptions) -> list[Target]:
    """The chosen targets, without duplicates.

    Raises:
        RecipeError: R250, there is no such target; R248, no target is chosen, or none that supports PTQ.
    """
    if not options.targets:
        raise RecipeError("R248", "`targets` is empty", f"choose from: {', '.join(target_names())}")
    targets = [find_target(name) for name in dict.fromkeys(options.targets)]
    if "ptq" in options.int8 and not any(target.quantizer for target in targets):
        raise RecipeError(
            "R248",
            f"ptq supports {' and '.join(quantizable_names())}; `targets` is {','.join(options.targets)}",
            f"add one of {', '.join(quantizable_names())} to `targets`, or leave ptq out of `int8`",
        )
    return targets


def _any_trained_int8() -> list[Target]:
    """The first target that computes networks from QAT in int8, used if none of the chosen targets does."""
    return [target for target in list_targets() if target.trained_int8][:1]


def _export_plan(source: str, target: Target, shape: dict[str, Any], method: Method, name: str) -> ArtefactPlan:
    return ArtefactPlan(name=name, source=source, method=method, options=ExportOptions(target=target.name, **shape))


def _trained_in_8_bits(run: str, qat_run: str | os.PathLike[str] | None) -> str:
    """The run from quantization-aware training: `qat_run` if it is given, otherwise `run` itself.

    Raises:
        RecipeError: R248, it is not from quantization-aware training, or has other classes than `run`.
    """
    trained = os.fspath(qat_run) if qat_run is not None else run
    if not trained_in_8_bits(trained):
        raise RecipeError(
            "R248",
            f"qat in `int8` needs a run of quantization-aware training, and {printable(Path(trained))} is not one",
            "train one (pixelwise train RECIPE quantization=x86-8bit "
            f"initialize.run={shlex.quote(printable(Path(run)))}) and give it as `qat_run`",
        )
    ours, theirs = (read_recipe(Path(folder)).data.class_names() for folder in (run, trained))
    if ours is not None and theirs is not None and ours != theirs:
        raise RecipeError(
            "R248",
            f"`qat_run`: {printable(Path(trained))} has the classes {_few(theirs)}, {printable(Path(run))} has "
            f"{_few(ours)}",
            f"choose a `qat_run` that was initialized from {printable(Path(run))}",
        )
    return trained


def _few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''} ({len(names)})"
