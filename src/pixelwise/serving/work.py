"""What a worker process does: load the model, then decode images, predict them and encode the answers, in batches.

Whatever is wrong with an image is its reply. The process may die of an image all the same; its parent then goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
import torch

from pixelwise.datasets.reading.georeference import Georeference
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.machine.signals import leave_signals_to_parent
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.engine.batching import batches
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.inputs import Input
from pixelwise.prediction.loading import load
from pixelwise.prediction.outcomes import read_input, without_missing
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.serving.answers import answer, needs_scores
from pixelwise.serving.describing import described
from pixelwise.serving.messages import Done, Failed, Finished, Model, Order, Warned, decode_orders, encode
from pixelwise.serving.worker import Job
from pixelwise.storage import printable

_IMAGE = "image"
"""What messages call the image, whose file has no name here."""


class _Read(NamedTuple):
    order: Order
    pixels: np.ndarray
    place: Georeference | None = None


Send = Callable[[bytes], None]


def run(parent: Connection, job: Job, scratch: Path) -> None:
    """Serve a parent process until it closes the connection.

    Sends a `Model`, or a `Failed`; then, for every list of orders, a reply to each, in any order, and a `Finished`.

    Args:
        parent: The connection.
        job: What the worker is for.
        scratch: Folder of its own for temporary files.
    """
    leave_signals_to_parent()
    try:
        handler = handler_of(job, scratch, parent.send_bytes)
        parent.send_bytes(encode(handler.model))
        while True:
            handler.handle(decode_orders(parent.recv_bytes()))
            parent.send_bytes(encode(Finished()))
    except (EOFError, ConnectionError):
        return  # the parent has no more work, or is gone
    except Exception as error:  # the parent must be told of any error, or it would try again for ever
        parent.send_bytes(encode(_failure(-1, error)))


def handler_of(job: Job, scratch: Path, send: Send) -> Handler:
    """Load the model of a job.

    Args:
        job: What a worker is for.
        scratch: Folder for temporary files.
        send: Receives every reply, and warnings.

    Raises:
        PixelwiseError: As `pixelwise.prediction.loading.load`.
    """

    def warn(code: str, message: str) -> None:
        send(encode(Warned(code=code, message=message)))

    torch.set_num_threads(job.threads)
    cv2.setNumThreads(job.threads)
    given = load(
        job.run,
        device=job.device,
        window=job.window,
        overrides=job.overrides,
        trust=job.trust,
        threads=job.threads,
        warn=warn,
    )
    given.warn = Once(warn)
    most = min(given.reading.max_pixels, job.max_pixels)
    given.reading = msgspec.structs.replace(given.reading, max_pixels=most)
    # An artefact is as fast as it gets.
    return Handler(Engine(given).segmenter, described(given, job.run), scratch, send)


class Handler:
    """A model that answers orders.

    Args:
        segmenter: Predicts.
        model: Its description.
        scratch: Folder for temporary files.
        send: Receives every reply.

    Attributes:
        model: The description.
    """

    def __init__(self, segmenter: Segmenter, model: Model, scratch: Path, send: Send) -> None:
        self._segmenter, self.model, self._scratch, self._send = segmenter, model, scratch, send

    def handle(self, orders: Sequence[Order]) -> None:
        """Answer orders, those of images of equal size together."""
        limits = self._segmenter.batch_limits
        for batch in batches(self._readable(orders), _key, self._pixels, limits):
            try:
                self._predict(batch.items)
            except Exception as error:  # of a network, a runtime or an encoder, which may raise anything
                for one in batch.items:
                    self._send(encode(_failure(one.order.number, error)))

    def _readable(self, orders: Sequence[Order]) -> Iterator[_Read]:
        """The orders with their pixels; those that cannot be read are answered."""
        for order in orders:
            try:
                yield self._read(order)
            except Exception as error:  # a fault of ours must not end the others
                self._send(encode(_failure(order.number, error)))

    def _read(self, order: Order) -> _Read:
        channels = self.model.channels
        if needs_scores(order):
            self._segmenter.require_scores()
        if order.shape:
            return _Read(order, np.frombuffer(order.content, np.uint8).reshape(order.shape))
        path = self._scratch / _IMAGE
        path.write_bytes(order.content)
        try:
            found = read_input(Input(path, Path(_IMAGE)), reading=self._segmenter.reading, channels=channels)
        finally:
            path.unlink()
        if isinstance(found.value, np.ndarray):
            return _Read(order, found.value, found.place)
        error = found.value if isinstance(found.value, DataError) else DataError("D120", f"{_IMAGE}: {found.value}")
        message = error.message.replace(printable(path), _IMAGE)
        help = error.help
        if error.code == "D120":
            help = "send a smaller image, or parts of it; whoever runs the server can raise `max_pixels`"
        raise DataError(error.code, message, help)

    def _predict(self, items: Sequence[_Read]) -> None:
        images = [one.pixels for one in items]
        self._segmenter.warn(self._segmenter.remarks((images[0].shape[0], images[0].shape[1])))
        found = self._segmenter.predict_alike(images, needs_scores(items[0].order))
        for one, prediction in zip(items, found, strict=True):
            try:
                content = answer(without_missing(prediction, one.place), one.order, one.place, self._scratch)
            except Exception as error:
                self._send(encode(_failure(one.order.number, error)))
                continue
            height, width = one.pixels.shape[:2]
            done = Done(
                number=one.order.number,
                media=content.media,
                content=content.content,
                size=(height, width),
                model=self.model.version,
            )
            self._send(encode(done))

    def _pixels(self, one: _Read) -> int:
        height, width = self._segmenter.seen_size((one.pixels.shape[0], one.pixels.shape[1]))
        return height * width


def _key(one: _Read) -> tuple[int, int, bool]:
    """What images of a batch have in common."""
    return one.pixels.shape[0], one.pixels.shape[1], needs_scores(one.order)


def _failure(number: int, error: Exception) -> Failed:
    """What the parent is told of an error."""
    if isinstance(error, PixelwiseError):
        return Failed(number=number, code=error.code, message=error.message, help=error.help)
    if isinstance(error, MemoryError):
        return Failed(number=number, code="D151", message="there is not enough memory", help="send a smaller image")
    text = str(error).strip().partition("\n")[0] or "without a message"
    return Failed(
        number=number,
        code="R280",
        message=f"unexpected {type(error).__name__}: {text}",
        help="a fault of Pixelwise or of a plug-in: report it with the image",
    )
