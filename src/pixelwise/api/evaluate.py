"""`pixelwise.evaluate`: scores of a run, an artefact or a model in memory, and an updated report of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from pixelwise.api.default_observer import observer_or_display
from pixelwise.api.together import call_together, unlaunched
from pixelwise.checkpoints.hub.resolving import own_run_path
from pixelwise.errors import RecipeError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.runs import score_by_name, score_by_name_in_units
from pixelwise.machine.devices import choose_device
from pixelwise.machine.launched import is_first, world_size
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.ranks.joining import joined
from pixelwise.ranks.starting import refuse_unfit
from pixelwise.recipes.overrides import in_words
from pixelwise.records.result import Result, Unfinished
from pixelwise.records.run_folder import is_run
from pixelwise.records.seeds.folder import is_seeds
from pixelwise.reports.run.page import write_report


@overload
def evaluate(  # pyright: ignore[reportOverlappingOverload]
    model_or_run: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: str | Sequence[str] | None = None,
    options: EvaluateOptions | None = None,
    *,
    shard: str,
    observer: Observer | None = None,
    **changes: Any,
) -> Result | list[Result] | Unfinished: ...
@overload
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: str | None = None,
    options: EvaluateOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Result: ...
@overload
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    *,
    protocol: Sequence[str],
    options: EvaluateOptions | None = None,
    observer: Observer | None = None,
    **changes: Any,
) -> list[Result]: ...
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: str | Sequence[str] | None = None,
    options: EvaluateOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Result | list[Result] | Unfinished:
    """Score a run, an artefact or a model in memory.

    The result of a run, with tables per class and per image and pictures of the worst, middle and best images, is saved
    in `RUN/evaluations/SPLIT-PROTOCOL/`, and the report of the run is rewritten. Results of an artefact are saved in
    its folder, those of a model in memory are only returned.

    With `shard`, `engine` or `output`, images are scored in units, each of which gets a receipt that is written once.
    Workers share the units, and a call that was stopped goes on where it was; the result, which is that of one process,
    is written by whoever finds all units done. `per_image.parquet` has a row of counts per image.

    Args:
        model_or_run: A run folder or that of several seeds, an exported artefact (its folder or its file), either as
            `hub://OWNER/NAME` (copied to `runs/`), or a model in memory, which is moved to the device that scores it.
        data: Folder of the data set; None for the data the run was trained on.
        split: Name of the split; None for the recipe's `evaluation.split`, or `val` for a model in memory.
        protocol: Name of a protocol; None for the recipe's first, or `native` for a model in memory. A list of names is
            scored in one pass, equal names once: images are decoded once, and predicted once for each network input.
        options: Options of the evaluation; None for the defaults.
        observer: Receives progress after every batch, and a warning if a damaged checkpoint was skipped. None shows
            them on a terminal or in a notebook; `pixelwise.Observer()` shows nothing.
        changes: Single fields of `EvaluateOptions`, such as `boundary=False`; also `progress` and `warn`, functions
            that are called like the methods of an observer.

    Returns:
        The result; for a list of protocols, a list with the result of each. With `shard`, a `pixelwise.Unfinished` as
        long as other parts have images to score. Of several seeds, a list with all of this for each run.

    Raises:
        CheckpointError: The folder is not a run or has no valid checkpoint, or the network predicts other classes.
        DataError: The data cannot be opened or read; D137, images cannot be scored, so there is no result.
        RecipeError: R203, `group` is not a regular expression or a metric is not defined for this network; R204, there
            is no such protocol; R214, the device cannot be used; R225, there is no such metric; R251, options exclude
            each other; R252, Ray is too small.
        ValueError: The list of protocols is empty.
    """
    if not isinstance(model_or_run, SegmentationModel) and is_seeds(Path(model_or_run)):
        return _of_seeds(Path(model_or_run), (data, split), dict(changes, protocol=protocol, options=options), observer)
    with observer_or_display(observer, changes) as watcher:
        options = in_words(chosen(EvaluateOptions, options, changes))
        refuse_unfit(options, options.device)
        _ = options.by_units, options.share
        model_or_run = _opened(model_or_run, watcher)
        if options.devices is not None and world_size() == 1:
            return _by_several(model_or_run, data, split, protocol, options, watcher)
        names = [protocol] if isinstance(protocol, str) else protocol
        results = _scored(model_or_run, data, split, names, options, watcher)
        if isinstance(results, Unfinished):
            return results
        _report(model_or_run, watcher)
    return results if protocol is not None and not isinstance(protocol, str) else results[0]


def _opened(model_or_run: SegmentationModel | str | os.PathLike[str], observer: Observer) -> SegmentationModel | Path:
    """A model in memory as it is, anything else as the folder in which its scores are saved."""
    return model_or_run if isinstance(model_or_run, SegmentationModel) else own_run_path(model_or_run, observer.warn)


def _report(model_or_run: SegmentationModel | str | os.PathLike[str], observer: Observer) -> None:
    """Write the report of a run again; artefacts, folds together and models in memory have none."""
    if is_first() and not isinstance(model_or_run, SegmentationModel) and is_run(Path(model_or_run)):
        observer.phase("writing the report")
        write_report(Path(model_or_run))


def _of_seeds(
    folder: Path, arguments: tuple[Any, ...], keywords: dict[str, Any], observer: Observer | None
) -> list[Any]:
    """What `evaluate` returns of each run in a folder of several seeds."""
    from pixelwise.api.several.seeds import evaluate_seeds  # which scores each of them with `evaluate`

    with observer_or_display(observer, keywords) as watcher:
        return evaluate_seeds(folder, arguments, {**keywords, "observer": watcher})


def _by_several(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    split: str | None,
    protocol: str | Sequence[str] | None,
    options: EvaluateOptions,
    observer: Observer,
) -> Result | list[Result]:
    """The results of several processes of this host."""
    if isinstance(model_or_run, SegmentationModel):
        raise RecipeError(
            "R238", "a model in memory cannot be scored by several processes", "leave out `devices`, or score a run"
        )
    observer.phase(f"starting {options.devices} processes")
    keywords = {"protocol": protocol, "options": unlaunched(options)}
    return call_together("evaluate", (model_or_run, data, split), keywords, options, observer, None)


def _scored(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    split: str | None,
    names: Sequence[str] | None,
    options: EvaluateOptions,
    observer: Observer,
) -> list[Result] | Unfinished:
    """The results, by all processes that were started together, or of units."""
    if options.by_units:
        if isinstance(model_or_run, SegmentationModel):
            raise RecipeError(
                "R251", "a model in memory cannot be scored by units", "leave out `shard`, `engine` and `output`"
            )
        if world_size() > 1:
            raise RecipeError(
                "R251",
                "processes that were started together do not go with `shard`, `engine` and `output`",
                "start this command alone, or leave them out",
            )
        return score_by_name_in_units(Path(model_or_run), data, split, names, options, observer)
    if world_size() == 1:
        return score_by_name(model_or_run, data, split, names, options, observer)
    with joined(choose_device(options.device)) as ranks:
        return score_by_name(model_or_run, data, split, names, options, observer if ranks.first else SILENT, ranks)
