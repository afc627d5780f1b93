"""Prediction of masks and overlays for images, folders and patterns, with a record of bad files."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.listing import describe_endings
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.reading.tiff import stack_in_words
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import chosen
from pixelwise.prediction.annotation_files import Annotations, annotations_of
from pixelwise.prediction.background import in_background
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.inputs import Input, Inputs, find_inputs
from pixelwise.prediction.large.probabilities import PROBABILITIES
from pixelwise.prediction.mask_formats import mask_values
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.original_values import original_values
from pixelwise.prediction.outcomes import MASKS, OVERLAYS, Outcome, predict_and_write, read_input, writer
from pixelwise.prediction.prediction import choose_palette
from pixelwise.prediction.receipts.division import units
from pixelwise.prediction.receipts.jobs import job_of
from pixelwise.prediction.receipts.ledger import Facts, Ledger
from pixelwise.prediction.receipts.shares import Share
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.records.problems import Problem, append_problems, clear_problems, problems_name
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.locks import writing_alone
from pixelwise.storage.names import counted

CLASSES = "classes.json"
FOLDERS = (MASKS, OVERLAYS, PROBABILITIES)
"""Folders of images below the output."""
_PHASE = "predicting"
AHEAD = 2
"""Number of images read ahead of, and written behind, the one being predicted: at most five are in memory."""


class PredictSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a prediction.

    Attributes:
        ok: Number of images whose masks are written.
        kept: Number of those that an earlier call with the same weights and options has written, and that were not
            predicted again.
        failed: Number of files that failed.
        problems: The error of each failed file.
        seconds: Wall time of the call.
        warnings: What was left out without an error: W107 frames after the first, W160 positions on the map, W215
            files of folders and patterns that are not taken for images.
    """

    ok: int
    kept: int = 0
    failed: int
    problems: tuple[Problem, ...]
    seconds: float
    warnings: tuple[Finding, ...] = ()


def predict_paths(
    segmenter: Segmenter,
    paths: Sequence[str | os.PathLike[str]],
    output: Path,
    options: PredictOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> PredictSummary:
    """Predict every image given by `paths`.

    Writes `masks/NAME.png` (pixel value = class id, or as `mask_format` says), `overlays/NAME.jpg` and `classes.json`
    below `output`, at the size of the upright image. NAME is the name of the image, with `_` in place of characters
    that some system does not accept. Files that cannot be read are listed in `problems.jsonl`.

    A multi-label network has one mask per class, `masks/CLASS/NAME.png`, 255 where the class is present and 0
    elsewhere; these masks can be used for training as they are.

    Masks of images with a position on the map keep it: those of GeoTIFF files are GeoTIFF files, `masks/NAME.tif`, and
    world files are repeated beside the masks. Pixels that a GeoTIFF file marks as missing become ignored pixels.

    TIFF images that are too large to be decoded whole (see `PredictOptions.parts_above`) are read, predicted and
    written in parts, within a memory that does not depend on their size: their masks are tiled TIFF files with
    overviews, `masks/NAME.tif`, and their overlays are reduced. Outlines are written to GeoJSON as they are completed.

    With `probabilities`, `probabilities/NAME.tif` has one band per class: 255 times the probability, rounded.

    What an earlier call has done with the same weights and options is not done again, unless the image or its masks
    have changed; so a prediction that was stopped goes on where it was. `PredictOptions.again` predicts all images.

    Args:
        segmenter: Segmenter that predicts; the options do not change its device and windows.
        paths: Image files, folders and patterns.
        output: Folder for all files that are written.
        options: Options of the prediction; None for the defaults.
        observer: Receives progress after every file.
        changes: Single fields of `PredictOptions`.

    Raises:
        CheckpointError: K466, `probabilities` of an artefact that outputs class ids.
        DataError: D223, one of `paths` yields no image; with `strict`, the error of the first bad file.
        RecipeError: R220, an input is inside an output folder; R221, an output folder holds files that are not
            predictions; R222, the mask format belongs to a data set with other classes; R251, options exclude each
            other; R260, an option is not one of its choices.
        RunLockedError: L701, another process writes to `output`.
        ResourceError: S601, the disk is full.
    """
    start = time.monotonic()
    observer = observing(observer, changes)
    options = chosen(PredictOptions, options, changes)
    _apply(options, segmenter)
    polygons = None if options.polygons is None else annotations_of(options.polygons, output, segmenter.classes)
    inputs = _part_of(find_inputs(paths, [output / folder for folder in FOLDERS]), options.share)
    if options.mask_format == "original":
        _warn_of_merged(segmenter, observer)
    common = {"segmenter": segmenter, "output": output, "options": options, "annotations": polygons}
    parts = functools.partial(predict_and_write, observer=observer, **common)
    steps = _Steps(segmenter, parts, writer(**common), options)
    summary = _predict_into(output, steps, inputs, options, polygons, observer)
    return msgspec.structs.replace(summary, seconds=time.monotonic() - start)


def _apply(options: PredictOptions, segmenter: Segmenter) -> None:
    segmenter.scale = options.scale
    if options.probabilities:
        segmenter.require_scores()


def _predict_into(
    output: Path,
    steps: _Steps,
    inputs: Inputs,
    options: PredictOptions,
    polygons: Annotations | None,
    observer: Observer,
) -> PredictSummary:
    share = options.share
    problems = problems_name(share.suffix if share is not None else "")
    with writing_alone(output, shared=share is not None):
        _begin(output, steps.segmenter, options, problems)
        # One file of all outlines is made from all predictions.
        job = None if options.polygons == "coco" else job_of(steps.segmenter, options)
        ledger = Ledger(output, job, again=options.again)
        record = _Record(output, problems, ledger, strict=options.strict)
        with ledger.opened():
            summary = _predict_all(steps, inputs, record, observer)
        if polygons is not None:
            polygons.finish()
    return summary


def _part_of(inputs: Inputs, share: Share | None) -> Inputs:
    """The inputs of one of several jobs; the first one says what is wrong with the inputs as a whole."""
    if share is None:
        return inputs
    images = list(share.of(inputs.images))
    return Inputs(images, [], []) if share.number else inputs._replace(images=images)


def _warn_of_merged(segmenter: Segmenter, observer: Observer) -> None:
    merged = original_values(segmenter.label_table, segmenter.classes).sentence(segmenter.classes)
    if merged:
        observer.warn("W161", merged)


class _Steps(NamedTuple):
    """What is done with an input.

    Attributes:
        segmenter: Predicts what is read whole.
        parts: Predicts and writes what is not.
        write: Writes what was read and predicted whole.
        options: Options of the prediction.
    """

    segmenter: Segmenter
    parts: Callable[[Outcome], Outcome]
    write: Callable[[Outcome], Outcome]
    options: PredictOptions


class _Record:
    """What happened to the inputs. Errors go to `problems.jsonl` at once; if `strict`, the first one is raised."""

    def __init__(self, output: Path, name: str, ledger: Ledger, *, strict: bool) -> None:
        self._output, self._name, self._strict = output, name, strict
        self.ledger = ledger
        self._problems: list[Problem] = []
        self._animated: list[str] = []
        self._lost: list[tuple[str, str]] = []

    def problem(self, file: str, error: DataError) -> None:
        if self._strict:
            raise error
        self._problems.append(Problem(file=file, code=error.code, message=error.message, help=error.help))
        append_problems(self._output, self._problems[-1:], self._name)

    def add(self, outcome: Outcome) -> None:
        file, facts = printable(outcome.source.path), Facts(outcome.animated, outcome.lost)
        self.ledger.add(outcome.source, outcome.files, facts)
        if isinstance(outcome.value, DataError):
            self.problem(file, outcome.value)
        self._note(file, facts)

    def _note(self, file: str, facts: Facts) -> None:
        if facts.animated:
            self._animated.append(file)
        if facts.lost:
            self._lost.append((file, facts.lost))

    def summary(self, total: int, left_out: Sequence[Path], observer: Observer) -> PredictSummary:
        """The summary of the call, without its time; the observer receives the warnings, too."""
        found = []
        for file, facts in self.ledger.noted:
            self._note(file, facts)
        if left_out:
            found.append(
                finding(
                    "W215",
                    f"{counted(len(left_out), 'file')} without an image extension left out: "
                    f"{describe_endings(left_out)}",
                    [printable(path) for path in left_out],
                    f"extensions of images: {', '.join(SUFFIXES)}; a file that is named itself is read whatever its "
                    "name",
                )
            )
        if self._animated:
            found.append(
                finding(
                    "W107",
                    f"{counted(len(self._animated), 'image')} with several frames or pages, of which only the first "
                    f"is predicted, e.g. {self._animated[0]}{stack_in_words(Path(self._animated[0]))}",
                    self._animated,
                    "export the frames as single images",
                )
            )
        if self._lost:
            file, reason = self._lost[0]
            found.append(
                finding(
                    "W160",
                    f"{counted(len(self._lost), 'mask')} without the position on the map that the image has, e.g. of "
                    f"{file}: {reason}",
                    [file for file, _ in self._lost],
                    "write the image again without turning it, for example with gdal_translate",
                )
            )
        for one in found:
            observer.warn(one.code, f"{one.message}; {one.fix}")
        failed = len(self._problems)
        kept = self.ledger.kept
        return PredictSummary(
            ok=total - failed,
            kept=kept,
            failed=failed,
            problems=tuple(self._problems),
            seconds=0.0,
            warnings=tuple(found),
        )


def _predict_all(steps: _Steps, inputs: Inputs, record: _Record, observer: Observer) -> PredictSummary:
    observer.phase(_PHASE)
    for one in inputs.problems:
        record.problem(one.files[0] if one.files else "", DataError(one.code, one.message, one.fix))
    total = len(inputs.images) + len(inputs.problems)
    steps.segmenter.warn = Once(observer.warn)
    predictions = _predictions(steps, record.ledger.remaining(units(inputs.images)), observer)
    written = in_background(steps.write, predictions, ahead=AHEAD)
    # Closed here because after an error the garbage collector might do so in one of their threads, which cannot wait
    # for itself.
    with contextlib.closing(predictions), contextlib.closing(written):
        for done, outcome in enumerate(written, len(inputs.problems) + 1):
            record.add(outcome)
            observer.progress(done + record.ledger.kept, total)
    return record.summary(total, inputs.left_out, observer)


def _predictions(steps: _Steps, images: Iterable[Input], observer: Observer) -> Generator[Outcome, None, None]:
    """Yield the outcome of every image, while the next ones are read in the background."""
    segmenter = steps.segmenter
    read = functools.partial(
        read_input,
        reading=segmenter.reading,
        channels=segmenter.model.preprocessing.in_channels,
        parts_above=steps.options.parts_above,
    )
    with contextlib.closing(in_background(read, images, ahead=AHEAD)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome.value, np.ndarray):
                yield outcome._replace(value=segmenter.predict(outcome.value, scores=steps.options.probabilities))
            elif isinstance(outcome.value, str):
                done = steps.parts(outcome)
                observer.phase(_PHASE)
                yield done
            else:
                yield outcome


def _begin(output: Path, segmenter: Segmenter, options: PredictOptions, problems: str) -> None:
    """Claim the output folder by writing `classes.json`, and clear the problems of an earlier call.

    A folder of masks without `classes.json` beside it may hold weeks of manual labelling, so it is never written to.
    """
    for folder in (output / name for name in FOLDERS):
        if not (output / CLASSES).is_file() and folder.is_dir() and any(folder.iterdir()):
            raise RecipeError(
                "R221",
                f"{printable(folder)} holds files that are not predictions (there is no {CLASSES} beside it)",
                "choose another `output`, so that none of them is overwritten",
            )
    values, ignored = mask_values(options.mask_format, segmenter.classes, segmenter.label_table)
    colors = choose_palette(segmenter.palette, options.palette)
    classes = [
        {"id": value, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
        for value, name, color in zip(values, segmenter.classes, colors, strict=True)
    ]
    document: dict[str, object] = {"classes": classes, "ignore": ignored}
    if segmenter.model.multilabel:
        document = {"classes": classes, "multilabel": True}
    write_text(output / CLASSES, json_text(document))
    clear_problems(output, problems)
