"""Ordered work in background threads, a bounded number of items ahead."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_background(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int, threads: int | None = None
) -> Generator[Result, None, None]:
    """`map` whose calls run in background threads, at most `ahead` of the result that is waited for.

    There are `threads` of them, by default as many as for reading files. An exception of `function` is raised in place
    of its result. Closing the generator cancels the calls that have not begun.
    """
    remaining = iter(items)
    pending: deque[Future[Result]] = deque()
    with thread_pool(threads or reading_threads()) as pool:
        try:
            for item in itertools.islice(remaining, max(ahead, 1)):
                pending.append(pool.submit(function, item))
            while pending:
                result = pending.popleft().result()
                for item in itertools.islice(remaining, 1):
                    pending.append(pool.submit(function, item))
                yield result
        finally:
            for future in pending:
                future.cancel()
