"""Predictions of a run's evaluations as plain pictures, from what the run keeps for its live page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.records.pictures import PICTURES, Moment, Pictures
from pixelwise.training.trackers.tracker import TrackedPicture

OPACITY = 0.5
"""Opacity of the colours of the classes over the photo."""


def worth_sending(found: Pictures, sent: int, *, last: bool) -> list[Moment]:
    """The evaluations of which pictures are sent: each at least twice as far as the one before, and the last one.

    So a long training has a few pictures, and those of a run that is sent later are the same as far as it has them.

    Args:
        found: The pictures of the run.
        sent: Step of the last evaluation of which pictures were sent; 0 for none.
        last: Whether no more evaluations follow.
    """
    chosen = []
    for moment in found.moments:
        final = last and moment is found.moments[-1]
        if moment.step > sent and (moment.step >= 2 * sent or final):
            chosen.append(moment)
            sent = moment.step
    return chosen


def overlays(run: Path, found: Pictures, moment: Moment) -> Iterator[TrackedPicture]:
    """The images of an evaluation with the colours of the predicted classes over them.

    Raises:
        OSError: A picture is missing or damaged.
    """
    for picture, layer in zip(found.images, moment.layers, strict=True):
        photo = _opened(run / PICTURES / picture.photo).convert("RGB")
        colors = _opened(run / PICTURES / layer).convert("RGBA").resize(photo.size, Image.Resampling.NEAREST)
        colors.putalpha(colors.getchannel("A").point([round(OPACITY * value) for value in range(256)]))
        photo.paste(colors, mask=colors)
        yield TrackedPicture(picture.id, moment.step, np.asarray(photo))


def _opened(path: Path) -> Image.Image:
    if not path.is_file():  # opening a pipe would wait for a writer
        raise FileNotFoundError(path)
    return Image.open(path)
