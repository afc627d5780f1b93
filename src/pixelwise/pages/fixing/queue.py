"""`queue.json` of a data folder: its images in the order in which they are worth labelling.

    {"images": [{"image": "images/train/0042.png", "score": 0.83}, {"image": "images/train/0007.png"}]}

Whoever ranks images writes it, best first. `image` is the path of the image file relative to the folder; `score` is
shown and need not be there. Other fields are ignored, as are images that the data set does not have.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.storage.documents import DocumentError, read_json

QUEUE = "queue.json"


class Ranked(msgspec.Struct, frozen=True):
    """An image of the queue.

    Attributes:
        image: Path of the image file relative to the data folder.
        score: How much its ranking expects from its label, on the ranking's own scale; None if that is not said.
    """

    image: str
    score: float | None = None


class _Queue(msgspec.Struct, frozen=True):
    images: tuple[Ranked, ...]


def read_queue(folder: Path) -> tuple[Ranked, ...]:
    """The queue of a data folder, the most worthwhile image first; empty if it has none.

    Raises:
        DocumentError: D150, the file is not such a list.
    """
    try:
        return read_json(folder / QUEUE, _Queue).images
    except DocumentError as error:
        if error.missing:
            return ()
        raise
