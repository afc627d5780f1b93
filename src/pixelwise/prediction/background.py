"""Work done in background threads, in order and a bounded distance ahead."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

from pixelwise.machine.threads import reading_threads, thread_pool

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_background(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Generator[Result, None, None]:
    """`map` whose calls run in threads for reading, at most `ahead` before the one that is waited for.

    An exception of `function` is raised where its result would have been yielded. Closing the
    generator cancels what has not begun.
    """
    remaining = iter(items)
    pending: deque[Future[Result]] = deque()
    with thread_pool(reading_threads()) as pool:
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
