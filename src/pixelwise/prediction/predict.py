"""Prediction of masks and overlays for images, videos, folders and patterns, with a record of bad files."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import chosen
from pixelwise.prediction.annotation_files import Annotations, annotations_of
from pixelwise.prediction.background import in_background
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.engine.engine import FEW, Engine
from pixelwise.prediction.inputs import Input, Inputs, find_inputs
from pixelwise.prediction.large.probabilities import PROBABILITIES
from pixelwise.prediction.mask_formats import mask_values
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.original_values import original_values
from pixelwise.prediction.outcomes import MASKS, OVERLAYS, Outcome, predict_and_write, read_input, writer
from pixelwise.prediction.prediction import Prediction, choose_palette
from pixelwise.prediction.receipts.division import units
from pixelwise.prediction.receipts.jobs import job_of
from pixelwise.prediction.receipts.ledger import Facts, Ledger
from pixelwise.prediction.receipts.shares import Share
from pixelwise.prediction.receipts.summaries import PredictSummary, Record
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.videos.prediction import planes_of, predict_video_and_write
from pixelwise.prediction.videos.recognising import InFrames, named_like_video, takes_videos, way_out_of_left_out
from pixelwise.records.problems import append_problems, clear_problems, problems_name
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.locks import writing_alone

CLASSES = "classes.json"
FOLDERS = (MASKS, OVERLAYS, PROBABILITIES)
"""Folders of images below the output."""
PREDICTING = "predicting"
"""Name of the phase whose progress counts images."""
AHEAD = 2
"""Number of images read ahead of, and written behind, those being predicted: at most five large ones are in memory."""


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

    A multi-label network has one mask per class, `masks/CLASS/NAME.png`, 255 where the class is present, else 0.

    Masks of images with a position on the map keep it: those of GeoTIFF files are GeoTIFF files, `masks/NAME.tif`, and
    world files are repeated beside the masks. Pixels that a GeoTIFF file marks as missing become ignored pixels.

    TIFF images that are too large to be decoded whole (see `PredictOptions.parts_above`) are read, predicted and
    written in parts, within a memory that does not depend on their size: their masks are tiled TIFF files with
    overviews, `masks/NAME.tif`, and their overlays are reduced.
    With `probabilities`, `probabilities/NAME.tif` has one band per class: 255 times the probability, rounded.

    Of videos, every frame has a mask, `masks/NAME/000000.png` (or all are in `masks/NAME/masks.mkv`), listed with its
    time in `masks/NAME/frames.csv`, and `overlays/NAME.mp4` has the same times.

    What an earlier call has done with the same weights and options is not done again, unless the image or its masks
    have changed; so a prediction that was stopped goes on where it was. `PredictOptions.again` predicts all images.

    Args:
        segmenter: Segmenter that predicts; the options do not change its device and windows.
        paths: Image and video files, folders and patterns.
        output: Folder for all files that are written.
        options: Options of the prediction; None for the defaults.
        observer: Receives progress after every file.
        changes: Single fields of `PredictOptions`.

    Raises:
        CheckpointError: K466, `probabilities` of an artefact that outputs class ids.
        DataError: D223, one of `paths` yields no image; with `strict`, the error of the first bad file.
        RecipeError: R220, an input is inside an output folder; R221, an output folder holds files that are not
            predictions; R222, the mask format belongs to a data set with other classes; R240, a video is given and
            PyAV is not installed; R251, options exclude each other; R260, an option is not one of its choices.
        RunLockedError: L701, another process writes to `output`.
        ResourceError: S601, the disk is full.
    """
    start = time.monotonic()
    observer = observing(observer, changes)
    options = chosen(PredictOptions, options, changes)
    apply_options(options, segmenter)
    polygons = None if options.polygons is None else annotations_of(options.polygons, output, segmenter.classes)
    videos = takes_videos(paths, options)
    inputs = _part_of(find_inputs(paths, [output / folder for folder in FOLDERS], videos=videos), options.share)
    if options.mask_format == "original":
        _warn_of_merged(segmenter, observer)
    steps = steps_of(segmenter, output, options, polygons, observer, videos=videos)
    summary = _predict_into(output, steps, inputs, options, polygons, observer)
    return msgspec.structs.replace(summary, seconds=time.monotonic() - start)


def apply_options(options: PredictOptions, segmenter: Segmenter) -> None:
    """Bring a segmenter to what the options say.

    Raises:
        CheckpointError: K466, probabilities are asked for, and an artefact outputs class ids.
    """
    segmenter.scale = options.scale
    if options.probabilities:
        segmenter.require_scores()


def _predict_into(
    output: Path,
    steps: Steps,
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
        record = Record(
            strict=options.strict,
            write=lambda problem: append_problems(output, [problem], problems),
            videos=way_out_of_left_out(),
        )
        with ledger.opened():
            engine = Engine(steps.segmenter, sum(FEW if named_like_video(one.path) else 1 for one in inputs.images))
            summary = predict_all(steps, engine, inputs, ledger, record, observer)
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


def steps_of(
    segmenter: Segmenter,
    output: Path,
    options: PredictOptions,
    polygons: Annotations | None,
    observer: Observer,
    *,
    videos: bool = False,
) -> Steps:
    """What is done with an input.

    Args:
        segmenter: Segmenter that predicts.
        output: Folder for all files that are written.
        options: Options of the prediction.
        polygons: Receives the objects of every image.
        observer: Receives progress and warnings.
        videos: Whether videos are predicted, too.

    Raises:
        RecipeError: R222, the mask format belongs to a data set with other classes, or has no multi-label masks; R251,
            it does not go with the format of the masks of videos.
    """
    common = {"segmenter": segmenter, "output": output, "options": options, "annotations": polygons}
    parts = functools.partial(predict_and_write, observer=observer, **common)
    if not videos:
        return Steps(segmenter, parts, writer(**common), options)
    planes_of(segmenter, output, options, Path())  # refuses what cannot be written before anything is
    frames = functools.partial(predict_video_and_write, output=output, options=options, observer=observer)
    return Steps(segmenter, parts, writer(**common), options, frames)


class Steps(NamedTuple):
    """What is done with an input.

    Attributes:
        segmenter: Predicts what is read whole.
        parts: Predicts and writes what is not.
        write: Writes what was read and predicted whole.
        options: Options of the prediction.
        frames: Predicts and writes a video; None if videos are not predicted.
    """

    segmenter: Segmenter
    parts: Callable[[Outcome], Outcome]
    write: Callable[[Outcome], Outcome]
    options: PredictOptions
    frames: Callable[[Outcome, Engine], Outcome] | None = None


def predict_all(
    steps: Steps, engine: Engine, inputs: Inputs, ledger: Ledger, record: Record, observer: Observer
) -> PredictSummary:
    """Predict and write all inputs that are not done already; returns the summary, without its time.

    Args:
        steps: What is done with an image.
        engine: Predicts the images that are read whole.
        inputs: The inputs.
        ledger: Knows what is done, and notes what is done now.
        record: Notes what happens to the inputs.
        observer: Receives progress after every file.

    Raises:
        DataError: With a strict record, the error of the first bad file.
        ResourceError: S601, the disk is full.
    """
    observer.phase(PREDICTING)
    for one in inputs.problems:
        record.problem(one.files[0] if one.files else "", DataError(one.code, one.message, one.fix))
    total = len(inputs.images) + len(inputs.problems)
    steps.segmenter.warn = Once(observer.warn)
    left = ledger.remaining(units(inputs.images))
    # Closed here because after an error the garbage collector might do so in one of their threads, which cannot wait
    # for itself.
    with contextlib.closing(outcomes(steps, engine, left, observer)) as written:
        for done, outcome in enumerate(written, len(inputs.problems) + 1):
            facts = Facts(outcome.animated, outcome.lost, outcome.remarks, outcome.frames)
            ledger.add(outcome.source, outcome.files, facts)
            if isinstance(outcome.value, DataError):
                record.problem(printable(outcome.source.path), outcome.value)
            record.note(printable(outcome.source.path), facts)
            observer.progress(done + ledger.kept, total)
    for file, facts in ledger.noted:
        record.note(file, facts)
    return record.summary(total, ledger.kept, inputs.left_out, observer)


def outcomes(
    steps: Steps, engine: Engine, images: Iterable[Input], observer: Observer
) -> Generator[Outcome, None, None]:
    """Predict images and write what belongs to each; the next ones are read, and the last ones written, meanwhile.

    Args:
        steps: What is done with an image.
        engine: Predicts the images that are read whole.
        images: The images.
        observer: Receives the progress of images that are predicted in parts.

    Yields:
        What is known of each image once its files are written, in order.
    """
    predictions = _predictions(steps, engine, images, observer)
    written = in_background(steps.write, predictions, ahead=AHEAD)
    with contextlib.closing(predictions), contextlib.closing(written):
        yield from written


def _predictions(
    steps: Steps, engine: Engine, images: Iterable[Input], observer: Observer
) -> Generator[Outcome, None, None]:
    """Yield the outcome of every image, while the next ones are read in the background."""
    segmenter = steps.segmenter
    read = functools.partial(
        read_input,
        reading=segmenter.reading,
        channels=segmenter.model.preprocessing.in_channels,
        parts_above=steps.options.parts_above,
        videos=steps.frames is not None,
    )
    with contextlib.closing(in_background(read, images, ahead=AHEAD)) as outcomes:
        for together, group in itertools.groupby(outcomes, functools.partial(_shares, steps=steps, engine=engine)):
            if together:
                with contextlib.closing(engine.predictions(group, _pixels, _predicted)) as predicted:
                    yield from predicted
                continue
            for outcome in group:
                pixels = _pixels(outcome)
                if pixels is not None:
                    yield _predicted(outcome, engine.segmenter.predict(pixels, scores=steps.options.probabilities))
                    continue
                if isinstance(outcome.value, InFrames) and steps.frames is not None:
                    done = steps.frames(outcome, engine)
                else:
                    done = steps.parts(outcome)
                observer.phase(PREDICTING)
                yield done


def _shares(outcome: Outcome, steps: Steps, engine: Engine) -> bool:
    """Whether what was read is predicted together with others, which gives no scores; errors go along."""
    pixels = _pixels(outcome)
    if pixels is None:
        return not isinstance(outcome.value, (str, InFrames))
    return not steps.options.probabilities and engine.shares((pixels.shape[0], pixels.shape[1]))


def _pixels(outcome: Outcome) -> np.ndarray | None:
    return outcome.value if isinstance(outcome.value, np.ndarray) else None


def _predicted(outcome: Outcome, prediction: Prediction) -> Outcome:
    return outcome._replace(value=prediction)


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
    write_text(output / CLASSES, classes_document(segmenter, options))
    clear_problems(output, problems)


def classes_document(segmenter: Segmenter, options: PredictOptions) -> str:
    """The content of `classes.json`: what the values of the masks mean, as JSON."""
    values, ignored = mask_values(options.mask_format, segmenter.classes, segmenter.label_table)
    colors = choose_palette(segmenter.palette, options.palette)
    classes = [
        {"id": value, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
        for value, name, color in zip(values, segmenter.classes, colors, strict=True)
    ]
    document: dict[str, object] = {"classes": classes, "ignore": ignored}
    if segmenter.model.multilabel:
        document = {"classes": classes, "multilabel": True}
    return json_text(document)
