"""What requests of every kind share: the model, its places, and how long an answer is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator, Sequence

from starlette.requests import Request

from pixelwise.serving.bodies import read_body
from pixelwise.serving.messages import Done, Order
from pixelwise.serving.metrics import Metrics
from pixelwise.serving.options import ServeOptions
from pixelwise.serving.pool import Pool
from pixelwise.serving.problems import Problem

LONGEST_RETRY = 60
"""Most seconds after which a client is asked to come back."""


class Service:
    """A model that answers requests.

    Args:
        pool: Its workers.
        options: Its limits.
        name: Its name.
        metrics: Counts what happens.

    Attributes:
        in_progress: Number of requests that were taken and are not answered yet.
    """

    def __init__(self, pool: Pool, options: ServeOptions, name: str, metrics: Metrics) -> None:
        self.pool, self.options, self.name, self.metrics = pool, options, name, metrics
        self.in_progress = 0

    @property
    def version(self) -> str:
        """Version of the model that answers now."""
        return self.pool.model.version

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for a request, from before its body is read, so that memory stays bounded.

        Raises:
            Problem: S612, all places are taken; S614, no worker is ready.
        """
        if not self.pool.ready:
            raise Problem(503, "S614", "no worker is ready", "send the request again later", {"Retry-After": "5"})
        if self.in_progress >= self.options.queue:
            raise Problem(
                429,
                "S612",
                f"the server works on {self.in_progress} requests, which is all that it takes at a time",
                "send the request again after the seconds that Retry-After says",
                {"Retry-After": str(self._retry_after())},
            )
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1

    def _retry_after(self) -> int:
        """Seconds until half of what waits is probably done."""
        each = self.metrics.seconds_per_image or 1.0
        return min(LONGEST_RETRY, max(1, math.ceil(self.pool.waiting / 2 * each / max(1, self.pool.ready))))

    async def body(self, request: Request) -> bytes:
        """The body of a request, within the limits."""
        return await read_body(request, self.options.max_bytes, self.options.timeout)

    async def answers(self, request: Request, orders: Sequence[Order]) -> list[Done]:
        """Have images predicted; they are given up if the client goes away.

        Raises:
            Problem: The first one of an image.
        """
        answers = asyncio.gather(*(asyncio.wrap_future(self.pool.submit(order)) for order in orders))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait((answers, gone), return_when=asyncio.FIRST_COMPLETED)
            if not answers.done():
                raise Problem(400, "R291", "the client has gone away", "send the request again")
            return answers.result()
        finally:
            for task in (answers, gone):
                if not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Problem):
                        await task


async def _disconnected(request: Request) -> None:
    """Wait until the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
