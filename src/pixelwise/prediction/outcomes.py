"""Inputs of a prediction on their way: read, predicted and written."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.reading.georeference import Georeference, read_georeference
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.regions.images import ImageRegions, read_whole_mosaic
from pixelwise.datasets.reading.regions.mosaics import is_mosaic
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import Observer
from pixelwise.prediction.annotation_files import Annotations, Pictured
from pixelwise.prediction.inputs import Input
from pixelwise.prediction.large.choice import parts_need_pytorch, reason_for_parts
from pixelwise.prediction.large.previews import middles, reduced_image, reduction
from pixelwise.prediction.large.probabilities import PROBABILITIES, write_probabilities
from pixelwise.prediction.large.writing import Plane
from pixelwise.prediction.mask_formats import as_geotiff, grey_png, mask_code, mask_values
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.overlays import jpeg
from pixelwise.prediction.prediction import Prediction, choose_palette
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.videos.recognising import InFrames, has_pyav, holds_video, needs_pyav
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.runtimes.plain import PlainArtefact
from pixelwise.storage import portable, printable, write_bytes
from pixelwise.storage.names import distinct

MASKS = "masks"
OVERLAYS = "overlays"
OVERLAY_PIXELS = 1 << 24
"""Largest number of pixels of an overlay; those of larger images are reduced."""


class Outcome(NamedTuple):
    """What is known of an input.

    Attributes:
        source: The input.
        value: Its pixels once it was read, its prediction once it was predicted, or the error that occurred; the reason
            why it is predicted in parts, or that it is a video; and None once the files of such a one are written.
        place: Its position on the map, if it has one.
        lost: The reason why its position is not kept; empty if it is, or if there is none.
        animated: Whether the file holds further frames or pages.
        files: What is written for it, relative to the output.
        remarks: Of a video, code and text of what is to be said of it.
        frames: Number of its frames that were predicted.
    """

    source: Input
    value: np.ndarray | Prediction | DataError | InFrames | str | None
    place: Georeference | None = None
    lost: str = ""
    animated: bool = False
    files: tuple[str, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    frames: int = 0


def read_input(
    source: Input, *, reading: Reading, channels: int, parts_above: int | None = None, videos: bool = False
) -> Outcome:
    """The pixels and the position of an input, its error, or the way in which it is predicted otherwise.

    Args:
        source: The input.
        reading: Reading options.
        channels: Number of channels that the network receives.
        parts_above: Number of pixels above which TIFF images and mosaics are predicted in parts; None to decide by the
            memory.
        videos: Whether videos are predicted, too.
    """
    if reason := reason_for_parts(source.path, reading, channels, parts_above):
        return Outcome(source, reason)
    try:
        if is_mosaic(source.path):
            return Outcome(source, *read_whole_mosaic(source.path, reading))
        pixels, facts = load_image(source.path, reading)
    except DataError as error:
        if videos and error.code == "D102" and holds_video(source.path):
            return Outcome(source, InFrames(source.path) if has_pyav() else needs_pyav(error))
        return Outcome(source, with_way_out(error, channels))
    try:
        place, lost = read_georeference(source.path, is_tiff=facts.format == "TIFF"), ""
    except (OSError, ValueError) as error:
        place, lost = None, f"it cannot be read ({printable(str(error))})"
    # World files, like tags, refer to the pixels as they are stored.
    if place is not None and (place.turned or facts.orientation != 1) and reading.exif == "apply":
        place, lost = None, "the image was turned upright"
    return Outcome(source, pixels, place, lost, facts.animated)


def with_way_out(error: DataError, channels: int) -> DataError:
    """The error of an image with a help that suits a prediction: there is no mask, and the network is given.

    Args:
        error: Error of a reader, whose help suits data to train on.
        channels: Number of channels that the network receives.
    """
    first = ",".join(map(str, range(channels)))
    bands = (
        f"give the {channels} bands that the network was trained with, in their order: 'data.channels=[{first}]', say"
    )
    help = error.help.replace(", or remove it together with its mask", "")
    help = re.sub(r"select the bands for the network, from 0 on: '[^']*' for all", bands, help)
    return DataError(error.code, error.message, help)


def _write(
    outcome: Outcome,
    *,
    output: Path,
    encode: Callable[[np.ndarray], bytes],
    save: Callable[[Path, Path, bytes, Georeference | None], list[Path]],
    draw: Callable[[Prediction], np.ndarray] | None,
    annotations: Annotations | None,
) -> Outcome:
    """Write the masks, overlay and polygons of an outcome, if it has a prediction; returns the outcome."""
    if not isinstance(outcome.value, Prediction):
        return outcome
    name, place = outcome.source.name, outcome.place
    prediction = without_missing(outcome.value, place)
    if prediction.multilabel:
        planes = zip(class_folders(prediction.classes), prediction.labels, strict=True)
        files = [
            file
            for folder, plane in planes
            for file in save(output / MASKS / folder, name, grey_png(plane * np.uint8(255)), place)
        ]
    else:
        files = save(output / MASKS, name, encode(prediction.labels), place)
    if prediction.scores is not None:
        path = output / PROBABILITIES / name
        files += write_probabilities(path, prediction.scores, prediction.classes, place, output)
    if draw is not None:
        files.append(_below(output / OVERLAYS, name, ".jpg"))
        write_bytes(files[-1], jpeg(draw(reduced(prediction, OVERLAY_PIXELS))))
    if annotations is not None:
        annotations.add(outcome.source.path, name, prediction, place)
    return outcome._replace(files=_relative(files, output))


def _relative(files: Sequence[Path], output: Path) -> tuple[str, ...]:
    return tuple(file.relative_to(output).as_posix() for file in files)


def without_missing(prediction: Prediction, place: Georeference | None) -> Prediction:
    """The prediction with the missing pixels of the image ignored."""
    if place is None or place.missing is None:
        return prediction
    nothing = np.uint8(0 if prediction.multilabel else IGNORE)
    return dataclasses.replace(prediction, labels=np.where(place.missing, nothing, prediction.labels))


def reduced(prediction: Prediction, most_pixels: int) -> Prediction:
    """A prediction whose image and class ids are reduced to at most that many pixels; itself if it is small enough."""
    size = (prediction.image.shape[0], prediction.image.shape[1])
    factor = reduction(size, most_pixels)
    if factor == 1:
        return prediction
    rows, columns = (middles(side, factor) for side in size)
    labels = prediction.labels[..., rows, :][..., columns]
    return dataclasses.replace(prediction, image=reduced_image(prediction.image, most_pixels), labels=labels)


def _save_mask(folder: Path, name: Path, png: bytes, place: Georeference | None, *, nodata: int | None) -> list[Path]:
    """Write a mask with its position on the map, if it has one; returns the files."""
    contents: dict[str, bytes | None] = {".png": png}
    if place is not None and place.tags:
        contents = {".tif": as_geotiff(png, place.tags, nodata)}
    elif place is not None:
        contents |= {".pgw": place.world, ".prj": place.projection}
    files = {_below(folder, name, ending): content for ending, content in contents.items() if content is not None}
    for file, content in files.items():
        write_bytes(file, content)
    return list(files)


@functools.cache
def class_folders(classes: tuple[str, ...]) -> list[str]:
    """Name of the mask folder of each class: the class name, changed where some system would not accept it."""
    return distinct([portable(name) for name in classes])


def predict_and_write(
    outcome: Outcome,
    segmenter: Segmenter,
    output: Path,
    options: PredictOptions,
    observer: Observer,
    annotations: Annotations | None = None,
) -> Outcome:
    """Predict an input in parts and write its files; returns the outcome with what is known of it, or its error.

    Args:
        outcome: The input, with the reason why it is predicted in parts.
        segmenter: The segmenter that predicts.
        output: Folder for all files that are written.
        options: Options of the prediction.
        observer: Receives progress.
        annotations: Receives the objects of the image.
    """
    source, classes = outcome.source, segmenter.classes
    if isinstance(segmenter.model, PlainArtefact):
        return Outcome(source, parts_need_pytorch(source.path, str(outcome.value)))
    from pixelwise.prediction.large.parts import predict_in_parts

    _, ignored = mask_values(options.mask_format, classes, segmenter.label_table)
    if segmenter.model.multilabel:
        planes = [
            Plane(output / MASKS / folder / source.name, class_id=class_id)
            for class_id, folder in enumerate(class_folders(classes))
        ]
    else:
        colors = choose_palette(segmenter.palette, options.palette)
        code = mask_code(options.mask_format, classes, colors, segmenter.label_table)
        planes = [Plane(output / MASKS / source.name, code, nodata=ignored if isinstance(ignored, int) else None)]
    if options.probabilities:
        planes.append(Plane(output / PROBABILITIES / source.name, bands=tuple(classes)))
    try:
        with ImageRegions(source.path, segmenter.reading) as image, contextlib.ExitStack() as closing:
            pictured = Pictured(source.path, source.name, image.size, segmenter.model.multilabel, image.place)
            shown = predict_in_parts(
                segmenter,
                image,
                planes,
                str(outcome.value),
                output,
                preview=options.overlay,
                take=None if annotations is None else closing.enter_context(annotations.receiving(pictured)),
                observer=observer,
            )
    except DataError as error:
        return Outcome(source, with_way_out(error, segmenter.model.preprocessing.in_channels))
    files = [_below(plane.path.parent, Path(plane.path.name), ".tif") for plane in planes]
    if shown is not None:
        files.append(_below(output / OVERLAYS, source.name, ".jpg"))
        write_bytes(files[-1], jpeg(drawing(options)(shown)))
    return Outcome(source, None, image.place, image.lost, image.animated, _relative(files, output))


def drawing(options: PredictOptions) -> Callable[..., np.ndarray]:
    """The function that draws the overlay of a prediction, uint8 (H, W, 3), as the options say."""
    return functools.partial(
        Prediction.overlay,
        alpha=options.alpha,
        palette=options.palette,
        background=options.background,
        legend=options.legend,
    )


def writer(
    segmenter: Segmenter, output: Path, options: PredictOptions, annotations: Annotations | None = None
) -> Callable[[Outcome], Outcome]:
    """The function that writes one outcome.

    Args:
        segmenter: The segmenter that predicts.
        output: Folder for all files that are written.
        options: Options of the prediction.
        annotations: Receives the predictions, too.

    Raises:
        RecipeError: R222, the mask format belongs to a data set with other classes, or has no multi-label masks.
    """
    if segmenter.model.multilabel and options.mask_format != "ids":
        raise RecipeError(
            "R222",
            f"format '{options.mask_format}' has one class per pixel, but the model is multi-label",
            "leave out `mask_format`: one black and white mask per class is written",
        )
    colors = choose_palette(segmenter.palette, options.palette)
    encode = mask_code(options.mask_format, segmenter.classes, colors, segmenter.label_table).png
    _, ignored = mask_values(options.mask_format, segmenter.classes, segmenter.label_table)
    missing = ignored if isinstance(ignored, int) and not segmenter.model.multilabel else None
    save = functools.partial(_save_mask, nodata=missing)
    return functools.partial(
        _write,
        output=output,
        encode=encode,
        save=save,
        draw=drawing(options) if options.overlay else None,
        annotations=annotations,
    )


def _below(folder: Path, name: Path, ending: str) -> Path:
    # Not with_suffix, since the name itself may contain a dot.
    return folder / name.with_name(name.name + ending)
