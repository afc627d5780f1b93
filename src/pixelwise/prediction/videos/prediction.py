"""Prediction of one video: frames are decoded, predicted and written one after the other, none of them kept."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import FRAMES, Observer
from pixelwise.prediction.background import in_background
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.mask_formats import mask_code
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.outcomes import MASKS, OVERLAY_PIXELS, OVERLAYS, Outcome, class_folders, drawing, reduced
from pixelwise.prediction.overlays import with_legend
from pixelwise.prediction.prediction import Prediction, choose_palette
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.videos.outputs import OVERLAY_ENDING, Drawn, Outputs, Plane, write_masks
from pixelwise.prediction.videos.reading import Frame, Video
from pixelwise.prediction.videos.recognising import pyav

AHEAD = 2
"""Number of predicted frames that are drawn and encoded as PNG files ahead of the one that is added to the overlay."""


class Predicted(NamedTuple):
    """A frame on its way.

    Attributes:
        frame: The frame.
        prediction: What the network says of it; None before.
    """

    frame: Frame
    prediction: Prediction | None = None


def planes_of(segmenter: Segmenter, output: Path, options: PredictOptions, name: Path) -> list[Plane]:
    """The masks of a video's frames.

    Args:
        segmenter: The segmenter that predicts.
        output: Folder for all files that are written.
        options: Options of the prediction.
        name: Name of the video's outputs.

    Raises:
        RecipeError: R222, the mask format belongs to a data set with other classes; R251, its values do not fit into
            the videos that are asked for.
    """
    if segmenter.model.multilabel:
        return [
            Plane(output / MASKS / folder / name, _present(class_id))
            for class_id, folder in enumerate(class_folders(segmenter.classes))
        ]
    colors = choose_palette(segmenter.palette, options.palette)
    code = mask_code(options.mask_format, segmenter.classes, colors, segmenter.label_table)
    if options.video_masks == "ffv1":
        example = code.values(np.zeros((1, 1), np.uint8))
        if example.dtype != np.uint8 or example.ndim != 2:
            raise RecipeError(
                "R251",
                f"`video_masks` ffv1 holds one value of 8 bits per pixel, and `mask_format` {options.mask_format} has "
                + ("colours" if example.ndim == 3 else "values of 16 bits"),
                "leave out one of them: PNG files hold both",
            )
    return [Plane(output / MASKS / name, code.values, code.colors)]


def _present(class_id: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda labels: labels[class_id] * np.uint8(255)


def predict_video_and_write(
    outcome: Outcome, engine: Engine, *, output: Path, options: PredictOptions, observer: Observer
) -> Outcome:
    """Predict the frames of a video and write its files; returns the outcome with what is known of it, or its error.

    Args:
        outcome: The input, of which it is known that it is a video.
        engine: Predicts frames.
        output: Folder for all files that are written.
        options: Options of the prediction.
        observer: Receives progress after every frame.
    """
    segmenter, source = engine.given, outcome.source
    planes = planes_of(segmenter, output, options, source.name)
    overlay = output / OVERLAYS / source.name.with_name(source.name.name + OVERLAY_ENDING) if options.overlay else None
    as_video = options.video_masks == "ffv1"
    work = _Work(planes, _picture_of(segmenter, options) if options.overlay else None, as_video)
    observer.phase(FRAMES)
    try:
        with (
            Video(source.path, segmenter.reading, segmenter.model.preprocessing.in_channels) as video,
            Outputs(pyav(source.path), video, planes, overlay, as_video=as_video, every=options.every) as outputs,
            contextlib.closing(predicted_frames(engine, video, options.every)) as frames,
            contextlib.closing(in_background(work.drawn, frames, ahead=AHEAD)) as drawn,
        ):
            for one in drawn:
                outputs.add(one)
                done = one.frame.number + 1
                observer.progress(done, max(video.frames_expected, done) if video.frames_expected else None)
    except DataError as error:
        return Outcome(source, error)
    files = tuple(path.relative_to(output).as_posix() for path in outputs.files)
    return Outcome(source, None, files=files, remarks=tuple(video.remarks.items()), frames=outputs.frames)


def predicted_frames(engine: Engine, video: Video, every: int = 1) -> Generator[Predicted, None, None]:
    """The frames of a video with their predictions, in their order; a bounded number of them is in memory.

    Args:
        engine: Predicts frames: small ones together.
        video: The video.
        every: Predict every n-th frame only.

    Raises:
        DataError: As `Video.frames`.
    """
    with contextlib.closing(video.frames(every)) as frames:
        first = next(frames)
        items = map(Predicted, itertools.chain([first], frames))
        size = (first.pixels.shape[0], first.pixels.shape[1])
        del first
        if engine.shares(size):
            with contextlib.closing(engine.predictions(items, _pixels, _with)) as predictions:
                yield from predictions
            return
        for item in items:
            yield item._replace(prediction=engine.segmenter.predict(item.frame.pixels))


def _pixels(item: Predicted) -> np.ndarray:
    return item.frame.pixels


def _with(item: Predicted, prediction: Prediction) -> Predicted:
    return item._replace(prediction=prediction)


class _Work(NamedTuple):
    """What is done with a frame once it is predicted, beside those before and after it."""

    planes: list[Plane]
    picture: Callable[[Prediction], np.ndarray] | None
    as_video: bool

    def drawn(self, one: Predicted) -> Drawn:
        """Write the masks of a frame, or make those for a video, and draw its overlay."""
        prediction = one.prediction
        if prediction is None:
            raise AssertionError  # every frame is predicted
        masks: tuple[np.ndarray, ...] = ()
        if self.as_video:
            masks = tuple(plane.values(prediction.labels) for plane in self.planes)
        else:
            write_masks(self.planes, one.frame.number, prediction.labels)
        return Drawn(one.frame, masks, None if self.picture is None else self.picture(prediction))


def _picture_of(segmenter: Segmenter, options: PredictOptions) -> Callable[[Prediction], np.ndarray]:
    """How overlays are drawn: with a legend of all classes, since pictures of a video have one size."""
    draw = drawing(options)
    colors = choose_palette(segmenter.palette, options.palette)

    def picture(prediction: Prediction) -> np.ndarray:
        shown = draw(reduced(prediction, OVERLAY_PIXELS), legend=False)
        return with_legend(shown, list(zip(segmenter.classes, colors, strict=True))) if options.legend else shown

    return picture
