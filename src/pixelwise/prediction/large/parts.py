"""Prediction of one image in parts: from a file to its masks and a reduced picture."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.observer import PARTS, SILENT, Observer
from pixelwise.prediction.annotation_files import Take
from pixelwise.prediction.combinations import unpacked
from pixelwise.prediction.large.blocks import Block, Blocks, Joining
from pixelwise.prediction.large.outlines import Drawing
from pixelwise.prediction.large.previews import Preview
from pixelwise.prediction.large.scaled import ScaledImage
from pixelwise.prediction.large.shrunk import shrunk_blocks, shrunken
from pixelwise.prediction.large.writing import Canvas, Plane
from pixelwise.prediction.network import main_logits, prediction_mode
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.segmenter import Segmenter, through_windows
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.inference import fitted_to
from pixelwise.storage import printable, scratch_folder


def predict_in_parts(
    segmenter: Segmenter,
    image: ImageRegions,
    planes: list[Plane],
    reason: str,
    scratch: Path,
    *,
    preview: bool = True,
    take: Take | None = None,
    observer: Observer = SILENT,
) -> Prediction | None:
    """Predict an image in parts and write its masks.

    Args:
        segmenter: The segmenter that predicts.
        image: The image.
        planes: The masks, and the file of probabilities.
        reason: Why it is predicted in parts, as a sentence without its end; the observer is told.
        scratch: Folder in which temporary files may be made.
        preview: Whether to make a reduced picture.
        take: Receives the objects of the image as they are completed, from top to bottom; None to draw no outlines.
        observer: Receives the way in which the image is predicted, and progress after every window.

    Returns:
        The prediction of the reduced picture, for overlays; None without `preview`.

    Raises:
        DataError: A part of the image cannot be read; nothing is written then.
        ResourceError: S601, the disk is full.
    """
    size, model = image.size, segmenter.model
    segmenter.warn(segmenter.remarks(size))
    channels, several = model.preprocessing.in_channels, model.multilabel
    shown = Preview(size, channels, np.int32 if several else np.uint8) if preview else None
    observer.note(f"{_words(segmenter, image, shown)}: {reason}")
    observer.phase(PARTS)
    drawing = None if take is None else Drawing(size[1], len(segmenter.classes), take, several=several)
    with (
        scratch_folder(scratch) as folder,
        prediction_mode(model),
        Canvas(size, planes, folder, shown, drawing) as canvas,
    ):
        for block in blocks_of(segmenter, image, folder, observer, any(plane.bands for plane in planes)):
            canvas.add(block)
        canvas.save(image.place)
    if shown is None:
        return None
    return Prediction(
        image=shown.image,
        labels=unpacked(shown.labels, len(segmenter.classes)) if several else shown.labels,
        scores=None,
        classes=segmenter.classes,
        palette=segmenter.palette,
        multilabel=several,
        source=str(image.path),
    )


class Way(NamedTuple):
    """How the network sees an image that is predicted in parts.

    Attributes:
        seen: (height, width) at which it sees the image.
        protocol: Protocol that defines windows and their blending.
        words: The same in words.
        whole: Whether the image is shrunk to that size and then seen like any other; otherwise it is seen through
            windows that are read one by one.
        tapered: Whether windows count less towards their borders: where no protocol demands windows, so that none says
            how they are joined.
    """

    seen: Size
    protocol: Protocol
    words: str
    whole: bool = False
    tapered: bool = False


def way_of(segmenter: Segmenter, size: Size) -> Way:
    """How the network sees an image of that (height, width).

    At its own size, unless the protocol brings images to another one. Then it sees the image at the scale at which it
    saw most images of its training, if that is known: at the size of those, nothing could be seen of a large image.
    """
    seen, model = segmenter.seen_size(size), segmenter.model
    scale, why = segmenter.scale, "as asked for"
    if scale is None and seen != size:
        scale, why = segmenter.training_scale, "the scale of the images that it was trained on"
    if scale is not None:
        scale = min(scale, 1.0)
        seen = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    protocol = fitted_to(segmenter.protocol_for(seen), model.fixed_size)
    if scale is None and seen != size:
        words = f"seen by the network at {_text(seen)}, to which its recipe brings every image; `scale` shows it more"
        return Way(seen, protocol, words, whole=True)
    if protocol.window is None:
        protocol = through_windows(protocol, segmenter.large_window)
    tapered = segmenter.protocol.window is None and model.gives_scores
    if tapered:
        protocol = widely_overlapping(protocol)
    if not model.gives_scores:
        # Class ids cannot be averaged.
        protocol = msgspec.structs.replace(protocol, blend="central")
    window = protocol.window or seen
    words = f"through windows of {_text(window)}, {_text(protocol.window_stride or window)} apart"
    if seen != size:
        words += f", at {seen[0] / size[0]:.3g} of its size, {why}"
    return Way(seen, protocol, words, tapered=tapered)


def widely_overlapping(protocol: Protocol) -> Protocol:
    """The protocol with windows that overlap by 5/16, as tapered ones do."""
    if protocol.window is None:
        return protocol
    # A wider overlap than that of averaged windows brings the masks of one piece within reach.
    stride = (max(1, protocol.window[0] * 11 // 16), max(1, protocol.window[1] * 11 // 16))
    return msgspec.structs.replace(protocol, window_stride=stride, even_windows=False)


def blocks_of(
    segmenter: Segmenter, image: ImageRegions, scratch: Path, observer: Observer, probabilities: bool = False
) -> Iterator[Block]:
    """The blocks of an image with their class ids, as the segmenter predicts them.

    Args:
        segmenter: The segmenter; its network is in evaluation mode.
        image: The image.
        scratch: Folder for temporary files.
        observer: Receives progress.
        probabilities: Whether blocks have the probabilities of the classes.
    """
    size, model, way = image.size, segmenter.model, way_of(segmenter, image.size)
    if way.whole:
        shrunk = shrunken(image.read, size, way.seen, way.protocol.resampling)
        for block in shrunk_blocks(model, image.read, size, shrunk, way.protocol, probabilities=probabilities):
            yield block
            observer.progress(block.where.top * size[1] + block.where.height * block.where.right, size[0] * size[1])
        return
    scaled = None if way.seen == size else ScaledImage(image.read, size, way.seen, way.protocol.resampling)
    found = Blocks(
        functools.partial(main_logits, model),
        image.read if scaled is None else scaled.read,
        way.seen,
        Joining(way.protocol, model.align_corners, model.multilabel, way.tapered, model.scores),
        scratch=scratch,
        classes=len(segmenter.classes) if probabilities else 0,
    )
    for block in found:
        yield block if scaled is None else scaled.enlarged(block)
        observer.progress(found.done + 1, found.windows)


def _words(segmenter: Segmenter, image: ImageRegions, preview: Preview | None) -> str:
    """The way in which an image is predicted, in words."""
    shown = "" if preview is None else f"; the overlay is reduced to {_text(preview.labels.shape)}"
    bands = f"{image.bands} {'band' if image.bands == 1 else 'bands'} of {image.dtype}"
    way = way_of(segmenter, image.size).words
    return f"{printable(image.path)} ({_text(image.size)}, {bands}) is predicted in parts, {way}{shown}"


def _text(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"
