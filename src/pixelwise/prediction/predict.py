"""Prediction of masks and overlays for images, folders and patterns, with a record of bad files."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.reading.images import read_image
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import chosen
from pixelwise.prediction.background import in_background
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.inputs import Input, find_inputs
from pixelwise.prediction.loading import load
from pixelwise.prediction.mask_formats import grey_png, mask_encoder, mask_values
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.overlays import jpeg
from pixelwise.prediction.segmenter import Prediction, Segmenter, choose_palette
from pixelwise.records.problems import Problem, append_problems, clear_problems
from pixelwise.storage import json_text, portable, printable, write_bytes, write_text
from pixelwise.storage.names import distinct

MASKS = "masks"
OVERLAYS = "overlays"
CLASSES = "classes.json"
AHEAD = 2
"""Number of images read ahead of, and written behind, the one being predicted: at most five are in memory."""


class PredictSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a prediction.

    Attributes:
        ok: Number of images for which masks were written.
        failed: Number of files that failed.
        problems: The error of each failed file.
        seconds: Wall time of the call.
    """

    ok: int
    failed: int
    problems: tuple[Problem, ...]
    seconds: float


class _Outcome(NamedTuple):
    """An input with its pixels once it was read, its prediction once it was predicted, or the error that occurred."""

    source: Input
    value: np.ndarray | Prediction | DataError


def predict(
    run: str | os.PathLike[str],
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "predictions",
    options: PredictOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> PredictSummary:
    """Write masks and overlays for images.

    Images are resized to the size at which the network was evaluated; very large ones are predicted by windows. A bad
    file is skipped and listed in `problems.jsonl`. `predict_paths` describes the files that are written.

    Args:
        run: A run folder, or an exported artefact (its folder or its file).
        paths: An image file, a folder or a pattern such as `photos/**/*.jpg`, or several of them.
        output: Folder for all files that are written.
        options: Options of the prediction; None for the defaults.
        observer: Receives progress after every file, and warnings if a damaged checkpoint was skipped, or if an
            artefact's masks can differ from those of its run (W471 to W474).
        changes: Single fields of `PredictOptions`, such as `overlay=False`.

    Returns:
        The number of files that were predicted, and the errors of the others.

    Raises:
        CheckpointError: The folder is not a run or has no valid checkpoint, or the artefact is damaged.
        DataError: D223, one of `paths` yields no image; with `strict`, the error of the first bad file.
        RecipeError: R220, an input is inside an output folder; R221, an output folder holds files that are not
            predictions; R222, the mask format belongs to a data set with other classes; R260, an option is not one of
            its choices.
        ResourceError: S601, the disk is full.
    """
    observer = observing(observer, changes)
    options = chosen(PredictOptions, options, changes)
    segmenter = load(run, device=options.device, window=options.window, trust=options.trust, observer=observer)
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    return predict_paths(segmenter, given, Path(output), options, observer=observer)


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

    Args:
        segmenter: Segmenter that predicts; the options do not change its device and windows.
        paths: Image files, folders and patterns.
        output: Folder for all files that are written.
        options: Options of the prediction; None for the defaults.
        observer: Receives progress after every file.
        changes: Single fields of `PredictOptions`.

    Raises:
        DataError: D223, one of `paths` yields no image; with `strict`, the error of the first bad file.
        RecipeError: R220, an input is inside an output folder; R221, an output folder holds files that are not
            predictions; R222, the mask format belongs to a data set with other classes; R260, an option is not one of
            its choices.
        ResourceError: S601, the disk is full.
    """
    start = time.monotonic()
    observer = observing(observer, changes)
    options = chosen(PredictOptions, options, changes)
    write = _writer(segmenter, output, options)
    inputs = find_inputs(paths, [output / MASKS, output / OVERLAYS])
    _begin(output, segmenter, options)
    observer.phase("predicting")
    problems = _Problems(output, strict=options.strict)
    for finding in inputs.problems:
        problems.add(finding.files[0] if finding.files else "", DataError(finding.code, finding.message, finding.fix))
    total = len(inputs.images) + len(inputs.problems)
    segmenter.warn = Once(observer.warn)
    predictions = _predictions(segmenter, inputs.images)
    written = in_background(write, predictions, ahead=AHEAD)
    # Closed here because after an error the garbage collector might do so in one of their threads, which cannot wait
    # for itself.
    with contextlib.closing(predictions), contextlib.closing(written):
        for done, (source, value) in enumerate(written, len(inputs.problems) + 1):
            if isinstance(value, DataError):
                problems.add(printable(source.path), value)
            observer.progress(done, total)
    found = tuple(problems.found)
    seconds = time.monotonic() - start
    return PredictSummary(ok=total - len(found), failed=len(found), problems=found, seconds=seconds)


class _Problems:
    """Errors of bad files, appended to `problems.jsonl` as they occur; if `strict`, the first one is raised."""

    def __init__(self, output: Path, *, strict: bool) -> None:
        self._output, self._strict = output, strict
        self.found: list[Problem] = []

    def add(self, file: str, error: DataError) -> None:
        if self._strict:
            raise error
        self.found.append(Problem(file=file, code=error.code, message=error.message, help=error.help))
        append_problems(self._output, self.found[-1:])


def _writer(segmenter: Segmenter, output: Path, options: PredictOptions) -> Callable[[_Outcome], _Outcome]:
    """The function that writes one outcome.

    Raises:
        RecipeError: R222, the mask format belongs to a data set with other classes, or has no multi-label masks.
    """
    if segmenter.model.multilabel and options.mask_format != "ids":
        raise RecipeError(
            "R222",
            f"format '{options.mask_format}' has one class per pixel, but the model is multi-label",
            "leave out `mask_format`: one black and white mask per class is written",
        )
    encode = mask_encoder(options.mask_format, segmenter.classes, choose_palette(segmenter.palette, options.palette))
    draw = functools.partial(Prediction.overlay, alpha=options.alpha, palette=options.palette)
    return functools.partial(_write, output=output, encode=encode, draw=draw if options.overlay else None)


def _predictions(segmenter: Segmenter, images: Sequence[Input]) -> Generator[_Outcome, None, None]:
    """Yield the outcome of every image, while the next ones are read in the background."""

    def read(source: Input) -> _Outcome:
        try:
            return _Outcome(source, read_image(source.path, segmenter.reading))
        except DataError as error:
            return _Outcome(source, error)

    with contextlib.closing(in_background(read, images, ahead=AHEAD)) as outcomes:
        for source, value in outcomes:
            yield _Outcome(source, segmenter.predict(value) if isinstance(value, np.ndarray) else value)


def _write(
    outcome: _Outcome,
    *,
    output: Path,
    encode: Callable[[np.ndarray], bytes],
    draw: Callable[[Prediction], np.ndarray] | None,
) -> _Outcome:
    """Write the masks and overlay of an outcome, if it has a prediction; returns the outcome."""
    if isinstance(outcome.value, Prediction):
        name, labels = outcome.source.name, outcome.value.labels
        if outcome.value.multilabel:
            for folder, plane in zip(class_folders(outcome.value.classes), labels, strict=True):
                write_bytes(_below(output / MASKS / folder, name, ".png"), grey_png(plane * np.uint8(255)))
        else:
            write_bytes(_below(output / MASKS, name, ".png"), encode(labels))
        if draw is not None:
            write_bytes(_below(output / OVERLAYS, name, ".jpg"), jpeg(draw(outcome.value)))
    return outcome


@functools.cache
def class_folders(classes: tuple[str, ...]) -> list[str]:
    """Name of the mask folder of each class: the class name, changed where some system would not accept it."""
    return distinct([portable(name) for name in classes])


def _begin(output: Path, segmenter: Segmenter, options: PredictOptions) -> None:
    """Claim the output folder by writing `classes.json`, and clear the problems of an earlier call.

    A folder of masks without `classes.json` beside it may hold weeks of manual labelling, so it is never written to.
    """
    for folder in (output / MASKS, output / OVERLAYS):
        if not (output / CLASSES).is_file() and folder.is_dir() and any(folder.iterdir()):
            raise RecipeError(
                "R221",
                f"{printable(folder)} holds files that are not predictions (there is no {CLASSES} beside it)",
                "choose another `output`, so that none of them is overwritten",
            )
    values, ignored = mask_values(options.mask_format, len(segmenter.classes))
    colors = choose_palette(segmenter.palette, options.palette)
    classes = [
        {"id": value, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
        for value, name, color in zip(values, segmenter.classes, colors, strict=True)
    ]
    document: dict[str, object] = {"classes": classes, "ignore": ignored}
    if segmenter.model.multilabel:
        document = {"classes": classes, "multilabel": True}
    write_text(output / CLASSES, json_text(document))
    clear_problems(output)


def _below(folder: Path, name: Path, ending: str) -> Path:
    # Not with_suffix, since the name itself may contain a dot.
    return folder / name.with_name(name.name + ending)
