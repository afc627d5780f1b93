"""`pixelwise.evaluate`: a run, an artefact or a model in memory is scored, and the report of a run renewed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.runs import score_by_name
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import chosen
from pixelwise.records.result import Result
from pixelwise.reports.run.page import write_report
from pixelwise.runtimes import is_artefact


@overload
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: str | None = None,
    options: EvaluateOptions | None = None,
    *,
    observer: Observer = SILENT,
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
    observer: Observer = SILENT,
    **changes: Any,
) -> list[Result]: ...
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: str | Sequence[str] | None = None,
    options: EvaluateOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Result | list[Result]:
    """Score a run, an artefact or a model.

    The result of a run, with its per-class and per-image tables and pictures of its worst, middle and best images, is
    kept in `RUN/evaluations/SPLIT-PROTOCOL/`, and the report of the run is renewed. Results of an artefact are kept in
    its folder, those of a model in memory nowhere.

    Args:
        model_or_run: A run folder, an exported artefact (its folder or its file), or a model in memory.
        data: Folder of the data set; None: where the run was trained.
        split: Name of the split; None: the recipe's `evaluation.split`; for a model in memory `val`.
        protocol: Name of a protocol; None: the recipe's first; for a model in memory `native`. A list of
            names is scored in one pass: images are decoded once, and predicted once for all protocols
            under which the network sees the same. A name given twice counts once.
        options: What is measured, and where.
        observer: Told of every batch, and when a damaged checkpoint was passed over.
        changes: Single fields of `EvaluateOptions`, such as `boundary=False`; `progress` and `warn`, functions that are
            called as the methods of an observer.

    Returns:
        The result; for a list of protocols one for each.

    Raises:
        CheckpointError: The folder is no run, has no valid checkpoint, or predicts other classes.
        DataError: The data cannot be opened or read.
        RecipeError: R204, there is no such protocol; R225, nor such a metric. R203, `group` is no regular expression,
            or a metric is not defined for this network. R214, the device cannot be used.
        ValueError: The list of protocols is empty.
    """
    observer = observing(observer, changes)
    options = chosen(EvaluateOptions, options, changes)
    names = [protocol] if isinstance(protocol, str) else protocol
    results = score_by_name(model_or_run, data, split, names, options, observer)
    if not isinstance(model_or_run, SegmentationModel) and not is_artefact(Path(model_or_run)):
        write_report(Path(model_or_run))
    return results if protocol is not None and not isinstance(protocol, str) else results[0]
