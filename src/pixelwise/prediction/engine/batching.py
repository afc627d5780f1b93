"""Batches of items of equal size out of a stream whose order is kept, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2
"""Number of full batches that fit into a window: how far items of equal size may be apart to share a batch."""


class Limits(NamedTuple):
    """What may be in a batch.

    Attributes:
        pixels: Largest number of pixels of a batch; one item may have more.
        items: Largest number of items of a batch.
    """

    pixels: int
    items: int


ON_CPU = Limits(pixels=1 << 16, items=16)
"""Larger batches leave the caches of a processor, and take longer per image than single images."""
ON_GPU = Limits(pixels=1 << 21, items=64)
SINGLE = Limits(pixels=1, items=1)


class Batch(NamedTuple, Generic[Item]):
    """Items of equal size.

    Attributes:
        places: Place of each item in the stream, counted from 0, ascending.
        items: The items.
    """

    places: tuple[int, ...]
    items: tuple[Item, ...]


def batches(
    items: Iterable[Item], key: Callable[[Item], Hashable], pixels: Callable[[Item], int], limits: Limits
) -> Iterator[Batch[Item]]:
    """Divide a stream into batches of equal key.

    Items share a batch if they are in the same window, `AHEAD` full batches long, so that which ones do depends on the
    items alone, and no more than one window is in memory. An error of the stream is raised after the batches of the
    items before it.

    Args:
        items: The stream; every window is read before its first batch is given.
        key: What is equal for the items of a batch, such as their size.
        pixels: Number of pixels of an item.
        limits: What may be in a batch.

    Yields:
        The batches of a window, ordered by their first items; then those of the next one.
    """
    for first, window in _windows(items, pixels, Limits(AHEAD * limits.pixels, AHEAD * limits.items)):
        open_batches: dict[Hashable, tuple[int, list[int]]] = {}
        full: list[list[int]] = []
        for place, item in enumerate(window):
            total, members = open_batches.pop(key(item), (0, []))
            if members and (len(members) == limits.items or total + pixels(item) > limits.pixels):
                full.append(members)
                total, members = 0, []
            members.append(place)
            open_batches[key(item)] = total + pixels(item), members
        full += [members for _, members in open_batches.values()]
        for members in sorted(full):
            yield Batch(tuple(first + place for place in members), tuple(window[place] for place in members))


def _windows(
    items: Iterable[Item], pixels: Callable[[Item], int], limits: Limits
) -> Iterator[tuple[int, Sequence[Item]]]:
    """Cut a stream into windows, each with the place of its first item."""
    remaining = iter(items)
    first, window, total, failure = 0, [], 0, None
    while failure is None:
        try:
            item = next(remaining)
        except StopIteration:
            break
        except Exception as error:
            failure = error
            break
        if window and (len(window) == limits.items or total + pixels(item) > limits.pixels):
            yield first, window
            first, window, total = first + len(window), [], 0
        window.append(item)
        total += pixels(item)
    if window:
        yield first, window
    if failure is not None:
        raise failure


def in_order(batches: Iterable[Batch[Result]]) -> Generator[Result, None, None]:
    """The items of batches in the order of their places, each as soon as those before it are there."""
    waiting: list[tuple[int, Result]] = []
    due = 0
    for batch in batches:
        for pair in zip(batch.places, batch.items, strict=True):
            heapq.heappush(waiting, pair)
        while waiting and waiting[0][0] == due:
            yield heapq.heappop(waiting)[1]
            due += 1
