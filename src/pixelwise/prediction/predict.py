"""Images, folders and patterns in; masks and overlays out; bad files skipped and written down."""

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
"""Images read before, and written after, the one that is predicted: five in memory at most."""


class PredictSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the images.

    Attributes:
        ok: Number of images with a mask.
        failed: Number of files without.
        problems: What was wrong with each of them.
        seconds: Wall time.
    """

    ok: int
    failed: int
    problems: tuple[Problem, ...]
    seconds: float


class _Outcome(NamedTuple):
    """An input that was read and then predicted; once there is an error it holds the error only."""

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

    Images are seen at the size at which the network was evaluated, very large ones through windows. A bad file is
    skipped and listed in `problems.jsonl`. What is written is said at `predict_paths`.

    Args:
        run: A run folder, or an exported artefact (its folder or its file).
        paths: An image file, a folder or a pattern such as `photos/**/*.jpg`, or several of them.
        output: Folder for everything that is written.
        options: What is written, and how images are seen.
        observer: Told of every file, and when a damaged checkpoint was passed over.
        changes: Single fields of `PredictOptions`, such as `overlay=False`.

    Returns:
        How many files became masks, and which did not.

    Raises:
        CheckpointError: The folder is no run, or it has no valid checkpoint; the artefact is damaged.
        DataError: D223, one of `paths` means no image; with `strict`, the first bad file's error.
        RecipeError: R220, an input lies where predictions go; R221, others' masks do; R222, another data set's format;
            R260, an option is not one of its choices.
        ResourceError: S601, the disk is full.
    """
    observer = observing(observer, changes)
    options = chosen(PredictOptions, options, changes)
    segmenter = load(run, device=options.device, window=options.window, observer=observer)
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
    """Predict every image that `paths` mean.

    Writes `masks/NAME.png` (pixel value = class id, or as `mask_format` says), `overlays/NAME.jpg` and `classes.json`
    below `output`, at the upright image's own size. NAME is the image's own, with `_` for what some system does not
    accept in names. Files that cannot be read are listed in `problems.jsonl`.

    A multi-label network's masks are one per class, `masks/CLASS/NAME.png`, 255 where the class is and else 0, which
    can be trained on as they are.

    Args:
        segmenter: Predicts; its device and windows are its own, whatever the options say.
        paths: Image files, folders and patterns.
        output: Folder for everything that is written.
        options: What is written.
        observer: Told of every file.
        changes: Single fields of `PredictOptions`.

    Raises:
        DataError: D223, one of `paths` means no image; with `strict`, the first bad file's error.
        RecipeError: R220, an input lies where predictions go; R221, others' masks do; R222, another data set's format;
            R260, an option is not one of its choices.
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
    predictions = _predictions(segmenter, inputs.images)
    written = in_background(write, predictions, ahead=AHEAD)
    # Closed here: after an error the garbage collector might do it in one of their threads, which cannot await itself.
    with contextlib.closing(predictions), contextlib.closing(written):
        for done, (source, value) in enumerate(written, len(inputs.problems) + 1):
            if isinstance(value, DataError):
                problems.add(printable(source.path), value)
            observer.progress(done, total)
    found = tuple(problems.found)
    seconds = time.monotonic() - start
    return PredictSummary(ok=total - len(found), failed=len(found), problems=found, seconds=seconds)


class _Problems:
    """Files that could not be predicted, written down as they are met; if `strict`, the first one is raised."""

    def __init__(self, output: Path, *, strict: bool) -> None:
        self._output, self._strict = output, strict
        self.found: list[Problem] = []

    def add(self, file: str, error: DataError) -> None:
        if self._strict:
            raise error
        self.found.append(Problem(file=file, code=error.code, message=error.message, help=error.help))
        append_problems(self._output, self.found[-1:])


def _writer(segmenter: Segmenter, output: Path, options: PredictOptions) -> Callable[[_Outcome], _Outcome]:
    """What writes one outcome.

    Raises:
        RecipeError: R222, the masks' format is that of another data set.
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
    """Predict every image that can be read, while the next ones are read in the background."""

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
    """Write what was predicted; hands the outcome on."""
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
    """The folder of each class's masks: its name, as far as every system accepts that for a folder."""
    return distinct([portable(name) for name in classes])


def _begin(output: Path, segmenter: Segmenter, options: PredictOptions) -> None:
    """Claim the output folder with `classes.json`, and forget the problems of an earlier call.

    Masks are what people make by hand for weeks: a folder of them that is not ours (no
    `classes.json` beside it) is never written to.
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
    # Not with_suffix: the name may have a dot of its own.
    return folder / name.with_name(name.name + ending)
