"""Parameters and operations of networks, counted in the background: a page does not wait for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pixelwise.errors import PixelwiseError
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size


class Cost(NamedTuple):
    """The cost of a network.

    Attributes:
        parameters: Number of parameters; None if the network cannot be built here.
        macs: Multiply-accumulates of an image; None likewise.
        size: (height, width) of that image.
    """

    parameters: int | None
    macs: int | None
    size: Size | None


UNKNOWN = Cost(None, None, None)


class Costs:
    """Counts the networks of runs one after another, in a thread that ends with the last.

    Args:
        count: Gives the cost of a run's network at an input size, or at that of its recipe.
    """

    def __init__(self, count: Callable[[Path, Size | None], Cost]) -> None:
        self._count_one = count
        self._known: dict[tuple[str, Size | None], Cost | None] = {}
        self._waiting: queue.SimpleQueue[tuple[Path, str, Size | None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._counting = False

    def of(self, run: Path, recipe_hash: str, size: Size | None) -> Cost | None:
        """The cost of a run's network; None while it has not been counted yet.

        Args:
            run: The run folder.
            recipe_hash: Hash of its recipe; runs of equal recipes have equal networks.
            size: Input size of the evaluation; None for that of the recipe.
        """
        key = recipe_hash, size
        with self._lock:
            if key in self._known:
                return self._known[key]
            self._known[key] = None
            self._waiting.put((run, recipe_hash, size))
            if not self._counting:
                self._counting = True
                threading.Thread(target=self._count, daemon=True).start()
        return None

    @property
    def pending(self) -> int:
        """Number of networks that are still to be counted."""
        with self._lock:
            return sum(cost is None for cost in self._known.values())

    def _count(self) -> None:
        while True:
            with self._lock:
                if self._waiting.empty():
                    self._counting = False
                    return
                run, recipe_hash, size = self._waiting.get()
            found = self._count_one(run, size)
            with self._lock:
                self._known[recipe_hash, size] = found


def counted(recipe: Recipe, size: Size) -> Cost:
    """The cost of a recipe's network at an input size; unknown if it cannot be built."""
    from pixelwise.profiling.complexity import complexity  # which imports PyTorch

    try:
        found = complexity(recipe, *size)
    # A network of another package may fail in any way, and a leaderboard shows the other runs nevertheless.
    except (PixelwiseError, ValueError, RuntimeError, TypeError, ImportError, OSError):
        return UNKNOWN
    return Cost(found.parameters, found.macs, size)
