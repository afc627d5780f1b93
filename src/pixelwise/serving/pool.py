"""Workers and the images that wait for them.

A free worker takes what waits, shared evenly among the workers, so that batches grow with the load and nobody waits for
a batch to fill. When a worker dies, its images are given to another one, each alone, so that one bad image harms no
other; an image that two workers died of, alone with it, is refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

import msgspec

from pixelwise.errors import PixelwiseError, ResourceError
from pixelwise.observer import SILENT, Observer
from pixelwise.serving.messages import Done, Failed, Model, Order
from pixelwise.serving.metrics import Metrics
from pixelwise.serving.problems import FAULT, Problem, status_of
from pixelwise.serving.tickets import Ticket, deadly, slow
from pixelwise.serving.worker import Died, TookTooLong

MOST_DEATHS = 2
"""Number of workers that an image may end before it is refused."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a worker that could not be started is tried again; each pause is twice as long as the last one."""
_ATTEMPTS = 5
"""How often workers are started together, if the model changes while they load it."""
_LOOKS_EVERY = 1.0
"""Seconds between two looks at whether an idle worker is alive."""


class AnyWorker(Protocol):
    """A worker, as the pool uses it; see `pixelwise.serving.worker.Worker`."""

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        ...

    def load(self) -> Model:
        """Wait until the model is loaded."""
        ...

    def work(self, orders: list[Order], answered: Callable[[Done | Failed], None], /) -> None:
        """Have orders answered."""
        ...

    def end(self, *, at_once: bool = False) -> None:
        """End the process."""
        ...


class _Changed(Exception):
    """Workers that were started together have loaded different models."""

    def __str__(self) -> str:
        return "found another model each time"


class _Generation:
    """Workers of one model, each with a thread of the server."""

    def __init__(self) -> None:
        self.model: Model | None = None
        self.error: Exception | None = None
        self.over = False
        self.loaded: set[int] = set()
        self.threads: list[threading.Thread] = []


class Pool:
    """Workers that predict images.

    Args:
        open_worker: Starts a worker.
        workers: Gives the number of workers for a model.
        batch: Most images that a worker is given at a time; None for what suits its device.
        metrics: Counts what happens.
        observer: Receives warnings.
    """

    def __init__(
        self,
        open_worker: Callable[[], AnyWorker],
        workers: Callable[[Model], int],
        batch: int | None = None,
        metrics: Metrics | None = None,
        observer: Observer = SILENT,
    ) -> None:
        self._open, self._workers, self._batch = open_worker, workers, batch
        self._metrics, self._observer = metrics or Metrics(), observer
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._current = _Generation()
        self._swapping = threading.Lock()
        self._closed = False
        self._numbers = 0

    # What a server asks for.

    def start(self) -> None:
        """Start the workers, and wait until each has loaded the model.

        Raises:
            PixelwiseError: The model cannot be loaded.
            ResourceError: S613, a worker died while it loaded the model.
        """
        self._current = self._begun()

    def reload(self) -> None:
        """Load the model again, and let the new workers take the place of the old ones, which finish what they have.

        Raises:
            As `start`; the old workers then go on.
        """
        with self._swapping:
            new = self._begun()
            with self._changed:
                if not self._closed:
                    old, self._current = self._current, new
                    self._metrics.count("reloads")
                else:
                    old = new
                old.over = True
                self._changed.notify_all()
        for thread in old.threads:
            thread.join()

    def submit(self, order: Order) -> Future[Done]:
        """Have an image predicted.

        Args:
            order: What is asked for; its number is replaced.

        Returns:
            The answer to come; its exception is a `Problem`.
        """
        with self._changed:
            self._numbers += 1
            ticket = Ticket(_numbered(order, self._numbers))
            if self._closed:
                ticket.refuse(Problem(503, "S614", "the server is stopping", "send the request again later"))
            else:
                self._waiting.append(ticket)
                self._changed.notify()
        return ticket.future

    def close(self) -> None:
        """End the workers once nothing waits any more."""
        with self._changed:
            self._closed = self._current.over = True
            self._changed.notify_all()
        for thread in self._current.threads:
            thread.join()
        with self._changed:
            left, self._waiting = list(self._waiting), deque()
        for ticket in left:
            ticket.refuse(Problem(503, "S614", "the server is stopping", "send the request again later"))

    @property
    def model(self) -> Model:
        """The model that answers now."""
        model = self._current.model
        if model is None:
            raise AssertionError("the pool was not started")
        return model

    @property
    def waiting(self) -> int:
        """Number of images that wait for a worker."""
        return len(self._waiting)

    @property
    def ready(self) -> int:
        """Number of workers that have loaded the model."""
        return 0 if self._closed else len(self._current.loaded)

    # The threads of the workers.

    def _begun(self) -> _Generation:
        """Workers that have loaded the model: the same one, if its files change meanwhile."""
        for _ in range(_ATTEMPTS):
            found = _Generation()
            # The first one says what suits its device.
            self._begin(found, 1)
            if found.model is not None and found.error is None:
                self._begin(found, self._workers(found.model))
            if found.error is None:
                return found
            with self._changed:
                found.over = True
                self._changed.notify_all()
            if not isinstance(found.error, _Changed):
                raise found.error
        raise _unloaded(_Changed())

    def _begin(self, of: _Generation, workers: int) -> None:
        """Start workers until there are so many, and wait until all have loaded the model, or one cannot."""
        for number in range(len(of.threads), workers):
            thread = threading.Thread(target=self._keep, args=(of, number), name=f"worker {number}", daemon=True)
            of.threads.append(thread)
            thread.start()
        with self._changed:
            self._changed.wait_for(lambda: of.error is not None or len(of.loaded) >= workers)

    def _keep(self, of: _Generation, number: int) -> None:
        """Keep one worker of a generation running until it is over."""
        pause = FIRST_PAUSE
        while not of.over:
            worker = self._opened(of, number)
            if worker is None:
                self._rest(of, pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            try:
                self._serve(of, worker)
            except (Died, TookTooLong):
                self._metrics.count("worker_deaths")
                with self._changed:
                    of.loaded.discard(number)
                worker.end(at_once=True)
                continue
            with self._changed:
                of.loaded.discard(number)
            worker.end()

    def _rest(self, of: _Generation, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: of.over, seconds)

    def _opened(self, of: _Generation, number: int) -> AnyWorker | None:
        """A worker that has loaded the model of its generation; None if that failed."""
        worker = None
        try:
            worker = self._open()
            model = worker.load()
        except Exception as error:
            if worker is not None:
                worker.end(at_once=True)
            self._tell(of, error)
            return None
        with self._changed:
            same = of.model is None or of.model == model
            if same:
                of.model = model
                of.loaded.add(number)
                self._changed.notify_all()
        if same:
            return worker
        # The files have changed since the others loaded them. All workers of a generation answer alike.
        worker.end()
        if not self._tell(of, _Changed()) and not self._swapping.locked():
            threading.Thread(target=self.reload_in_background, name="reload", daemon=True).start()
        return None

    def _tell(self, of: _Generation, error: Exception) -> bool:
        """Say that a worker could not be started: whoever waits for its generation, or else the observer.

        Returns:
            Whether somebody waits for its generation.
        """
        with self._changed:
            if of is not self._current:
                of.error = of.error or (error if isinstance(error, (PixelwiseError, _Changed)) else _unloaded(error))
                self._changed.notify_all()
                return True
        if not isinstance(error, _Changed):
            found = error if isinstance(error, PixelwiseError) else _unloaded(error)
            self._observer.warn("W614", f"a worker cannot be started again: {found.code}: {found.message}")
        return False

    def reload_in_background(self) -> None:
        """`reload` whose errors are warnings."""
        try:
            self.reload()
        except Exception as error:
            code = f"{error.code}: {error.message}" if isinstance(error, PixelwiseError) else repr(error)
            self._observer.warn("W615", f"the model was not loaded again, and the one before goes on: {code}")

    def _serve(self, of: _Generation, worker: AnyWorker) -> None:
        """Give a worker images until its generation is over.

        Raises:
            Died: The worker has ended.
            TookTooLong: It was too slow.
        """
        while tickets := self._taken(of, worker):
            open_tickets = {ticket.order.number: ticket for ticket in tickets}

            def answered(reply: Done | Failed, left: dict[int, Ticket] = open_tickets) -> None:
                ticket = left.pop(reply.number, None)
                if ticket is None:
                    raise Died
                if isinstance(reply, Failed) and status_of(reply.code) == FAULT:
                    # Whoever sent the image is told, but can do nothing about it.
                    self._observer.warn("W616", f"an image could not be predicted: {reply.code}: {reply.message}")
                ticket.answer(reply)

            start, alone = time.monotonic(), len(tickets) == 1
            try:
                worker.work([ticket.order for ticket in tickets], answered)
                if open_tickets:
                    raise Died
            except TookTooLong:
                self._metrics.count("timeouts")
                self._returned(list(open_tickets.values()), slow if alone else None, alone=alone)
                raise
            except Died:
                self._returned(list(open_tickets.values()), None, alone=alone)
                raise
            self._metrics.batch(len(tickets), time.monotonic() - start)

    def _taken(self, of: _Generation, worker: AnyWorker) -> list[Ticket]:
        """The next images for a worker; none once its generation is over and, if the server stops, nothing waits.

        Raises:
            Died: The worker has ended without any.
        """
        with self._changed:
            while True:
                if of.over and not (self._closed and self._waiting and of is self._current):
                    return []
                if not worker.is_alive:
                    raise Died
                while self._waiting and self._waiting[0].future.cancelled():
                    self._waiting.popleft()
                if self._waiting:
                    return self._share(of)
                self._changed.wait(_LOOKS_EVERY)

    def _share(self, of: _Generation) -> list[Ticket]:
        """What a free worker gets of the images that wait; those that were given back are given alone."""
        taken = [self._waiting.popleft()]
        if taken[0].is_suspect:
            return taken
        most = self._batch or (of.model.batch if of.model is not None else 1)
        share = min(most, -(-(len(self._waiting) + 1) // max(1, len(of.loaded))))
        while len(taken) < share and self._waiting and not self._waiting[0].is_suspect:
            ticket = self._waiting.popleft()
            if not ticket.future.cancelled():
                taken.append(ticket)
        return taken

    def _returned(self, tickets: list[Ticket], guilty: Callable[[], Problem] | None, *, alone: bool) -> None:
        """Images of a worker that died: they are given to another one, or refused."""
        for ticket in reversed(tickets):
            ticket.is_suspect = True
            ticket.deaths += alone
            if guilty is not None or ticket.deaths >= MOST_DEATHS:
                ticket.refuse((guilty or deadly)())
                continue
            self._metrics.count("retries")
            with self._changed:
                self._waiting.appendleft(ticket)
                self._changed.notify()


def _numbered(order: Order, number: int) -> Order:
    return msgspec.structs.replace(order, number=number)


def _unloaded(error: Exception) -> ResourceError:
    """S613 for a worker that died or hung while it loaded the model."""
    how = {TookTooLong: "took too long", Died: "ended"}.get(type(error), str(error))
    return ResourceError(
        "S613",
        f"a worker process {how} while it loaded the model, probably for lack of memory",
        "choose fewer `workers`, or a machine with more memory",
    )
