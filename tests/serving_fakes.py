"""Workers without processes: a script says what becomes of each image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pixelwise.serving.messages import Done, Failed, Model, Order
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
            if order.content.startswith(b"bad"):
                answered(Failed(number=order.number, code="D102", message="image: not an image", help="send one"))
            else:
                answered(Done(number=order.number, media="image/png", content=order.content, size=(1, 1)))

    def end(self, *, at_once: bool = False) -> None:
        self.is_alive = False
