"""Prediction of one image in parts: from a file to its masks and a reduced picture."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.observer import PARTS, SILENT, Observer
from pixelwise.prediction.combinations import unpacked
from pixelwise.prediction.large.blocks import Block, Blocks, Joining
from pixelwise.prediction.large.previews import Preview
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
    observer: Observer = SILENT,
) -> Prediction | None:
    """Predict an image in parts and write its masks.

    Args:
        segmenter: The segmenter that predicts.
        image: The image.
        planes: The masks.
        reason: Why it is predicted in parts, as a sentence without its end; the observer is told.
        scratch: Folder in which temporary files may be made.
        preview: Whether to make a reduced picture.
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
    with (
        scratch_folder(scratch) as folder,
        prediction_mode(model),
        Canvas(size, planes, folder, shown) as canvas,
    ):
        for block in blocks_of(segmenter, image, folder, observer):
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


def blocks_of(segmenter: Segmenter, image: ImageRegions, scratch: Path, observer: Observer) -> Iterator[Block]:
    """The blocks of an image with their class ids, as the segmenter predicts them.

    Args:
        segmenter: The segmenter; its network is in evaluation mode.
        image: The image.
        scratch: Folder for temporary files.
        observer: Receives progress.
    """
    size, model = image.size, segmenter.model
    seen, protocol = _way(segmenter, size)
    if seen != size:
        shrunk = shrunken(image.read, size, seen, protocol.resampling)
        for block in shrunk_blocks(model, image.read, size, shrunk, protocol):
            yield block
            observer.progress(block.where.top * size[1] + block.where.height * block.where.right, size[0] * size[1])
        return
    look = functools.partial(main_logits, model)
    joining = Joining(protocol, model.align_corners, model.multilabel)
    found = Blocks(look, image.read, size, joining, scratch=scratch)
    for block in found:
        yield block
        observer.progress(found.done + 1, found.windows)


def _way(segmenter: Segmenter, size: Size) -> tuple[Size, Protocol]:
    """The size at which the network sees an image, and the protocol; always with windows at the image's own size."""
    seen, model = segmenter.seen_size(size), segmenter.model
    protocol = fitted_to(segmenter.protocol_for(seen), model.fixed_size)
    if seen == size:
        if protocol.window is None:
            protocol = through_windows(protocol, segmenter.large_window)
        if not model.gives_scores:
            # Class ids cannot be averaged.
            protocol = msgspec.structs.replace(protocol, blend="central")
    return seen, protocol


def _words(segmenter: Segmenter, image: ImageRegions, preview: Preview | None) -> str:
    """The way in which an image is predicted, in words."""
    seen, protocol = _way(segmenter, image.size)
    how = f"the network sees it at {_text(seen)}, to which its recipe brings every image"
    if seen == image.size:
        window = protocol.window or seen
        how = f"through windows of {_text(window)}, {_text(protocol.window_stride or window)} apart"
    shown = "" if preview is None else f"; the overlay is reduced to {_text(preview.labels.shape)}"
    bands = f"{image.bands} {'band' if image.bands == 1 else 'bands'} of {image.dtype}"
    return f"{printable(image.path)} ({_text(image.size)}, {bands}) is predicted in parts, {how}{shown}"


def _text(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"
