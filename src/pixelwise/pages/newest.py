"""A memory of values that were made last, bounded by what they weigh."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Newest(Generic[Value]):
    """Remembers the values that were asked for last.

    Args:
        most: What all of them may weigh together; the newest one stays in any case.
        weight: What a value weighs; by default each weighs 1.
    """

    def __init__(self, most: int, weight: Callable[[Value], int] = lambda value: 1) -> None:
        self._most, self._weight, self._lock = most, weight, threading.Lock()
        self._values: OrderedDict[object, Value] = OrderedDict()
        self._turns: dict[object, threading.Lock] = {}
        self._held = 0

    def known(self, key: object) -> Value | None:
        """The value of a key; None if it is not remembered."""
        with self._lock:
            return self._values.get(key)

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not remembered; by one thread, while others that ask for it wait."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:  # a page asks for several pictures of an image at once, which is made once
            with self._lock:
                if key in self._values:
                    return self._values[key]
            try:
                value = make()
                with self._lock:
                    self._values[key] = value
                    self._held += self._weight(value)
                    while self._held > self._most and len(self._values) > 1:
                        _, dropped = self._values.popitem(last=False)
                        self._held -= self._weight(dropped)
            finally:
                with self._lock:
                    self._turns.pop(key, None)
            return value
