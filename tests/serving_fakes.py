"""Workers without processes, and services that have them."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from pixelwise.serving.messages import Done, Failed, Model, Order, decode_reply
from pixelwise.serving.metrics import Metrics
from pixelwise.serving.options import ServeOptions
from pixelwise.serving.pool import Pool
from pixelwise.serving.service import Service
from pixelwise.serving.worker import Died, TookTooLong

MODEL = Model(
    classes=("ground", "box"),
    palette=("#000000", "#ff0000"),
    multilabel=False,
    gives_scores=True,
    channels=3,
    batch=4,
    device="cpu",
    runtime="pytorch",
    recipe="tiny",
    hashes={"weights": "0123456789abcdef", "recipe": "fedc"},
    licence={"weights": "unknown", "code": "Apache-2.0"},
    preprocessing={"mean": [0.0], "max_pixels": 1000},
)


class FakeWorkers:
    """Starts workers that answer an image with its own bytes.

    Attributes:
        batches: The contents of every batch that was given to a worker.
        started: Number of workers that were started.
        models: Model of each worker that is started next; `MODEL` once none is left. An exception is raised.
        gate: Workers answer once it is set.
        deadly: Contents of which a worker dies.
        slow: Contents for which a worker takes too long.
        deaths: Number of batches that further workers die of, whatever they contain.
    """

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.started = 0
        self.models: list[Model | Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.deadly: set[bytes] = set()
        self.slow: set[bytes] = set()
        self.deaths = 0
        self.workers: list[FakeWorker] = []

    def __call__(self) -> FakeWorker:
        self.started += 1
        self.workers.append(FakeWorker(self))
        return self.workers[-1]


class FakeWorker:
    def __init__(self, all: FakeWorkers) -> None:
        self._all = all
        self.is_alive = True

    def load(self) -> Model:
        found = self._all.models.pop(0) if self._all.models else MODEL
        if isinstance(found, Exception):
            raise found
        return found

    def work(self, orders: Sequence[Order], answered: Callable[[Done | Failed], None]) -> None:
        self._all.batches.append([order.content for order in orders])
        assert self._all.gate.wait(20)
        if self._all.deaths:
            self._all.deaths -= 1
            raise Died
        for order in orders:
            if order.content in self._all.deadly:
                raise Died
            if order.content in self._all.slow:
                raise TookTooLong
            if order.content == b"fault":
                answered(Failed(number=order.number, code="R280", message="unexpected ValueError: no", help=""))
            elif order.content.startswith(b"bad"):
                answered(Failed(number=order.number, code="D102", message="image: not an image", help="send one"))
            else:
                answered(Done(number=order.number, media="image/png", content=order.content, size=(1, 1)))

    def end(self, *, at_once: bool = False) -> None:
        self.is_alive = False


class InsideWorker:
    """A worker that predicts in this process, with a network that needs no training."""

    def __init__(self, scratch: Path, send: Callable[[bytes], None] | None = None) -> None:
        from evaluation.color_model import CLASSES, PALETTE, GreyModel

        from pixelwise.datasets.samples import Reading
        from pixelwise.prediction.segmenter import Segmenter
        from pixelwise.serving.work import Handler

        segmenter = Segmenter(GreyModel(), palette=PALETTE, reading=Reading(max_pixels=10_000))
        model = msgspec.structs.replace(
            MODEL, classes=CLASSES, palette=tuple("#{:02x}{:02x}{:02x}".format(*color) for color in PALETTE)
        )
        self._replies: list[bytes] = []
        self._handler = Handler(segmenter, model, scratch, send or self._replies.append)
        self.is_alive = True

    def load(self) -> Model:
        return self._handler.model

    def work(self, orders: Sequence[Order], answered: Callable[[Done | Failed], None]) -> None:
        self._handler.handle(orders)
        replies, self._replies[:] = list(self._replies), []
        for reply in map(decode_reply, replies):
            answered(reply)

    def end(self, *, at_once: bool = False) -> None:
        self.is_alive = False


@contextlib.contextmanager
def service_of(open_worker: Callable[[], Any], workers: int = 1, **options: Any) -> Iterator[Service]:
    """A service whose workers are in this process."""
    metrics = Metrics()
    pool = Pool(open_worker, lambda _: workers, metrics=metrics)
    pool.start()
    try:
        yield Service(pool, ServeOptions(**options), "grey", metrics)
    finally:
        pool.close()


def png(labels: np.ndarray) -> bytes:
    """The image whose mask is `labels`, as the bytes of a PNG file."""
    from evaluation.color_model import image_of

    stream = io.BytesIO()
    Image.fromarray(image_of(labels)).save(stream, "PNG")
    return stream.getvalue()
