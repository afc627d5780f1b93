"""What the processes of a training agree on before every step.

Signals, unreadable files, clocks and labels are known to one process alone. If each acted on what it knows, one would
leave the loop and the others would wait for it; so they all act on the same numbers.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import NamedTuple

from pixelwise.errors import PixelwiseError
from pixelwise.ranks import Ranks
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.batches import Batch
from pixelwise.training.signals import StopRequest
from pixelwise.training.step import any_labelled


class Loaded(NamedTuple):
    """The batches of a process for a step, or the error that took their place.

    Attributes:
        batches: Its batches, or its parts of them.
        error: Why there are none.
    """

    batches: list[Batch]
    error: PixelwiseError | None = None

    @classmethod
    def of(cls, batches: Iterator[Batch], number: int) -> Loaded:
        """The next batches."""
        try:
            return cls([next(batches) for _ in range(number)])
        except PixelwiseError as error:
            return cls([], error)


NOTHING = Loaded([])
"""No batches, because there is no further step."""


class Agreed(NamedTuple):
    """What all processes know.

    Attributes:
        signal: The signal that asked any of them to stop.
        labelled: Whether any pixel of the step is labelled.
        late: Whether it is time to save.
    """

    signal: signal.Signals | None
    labelled: bool
    late: bool


def agree(ranks: Ranks, stop: StopRequest, loaded: Loaded, recipe: Recipe, *, late: bool) -> Agreed:
    """Agree on the next step.

    Args:
        ranks: The processes.
        stop: What asked this process to stop.
        loaded: What it has loaded.
        recipe: The resolved recipe.
        late: Whether it is time to save, by the clock of the first process.

    Raises:
        PixelwiseError: The error of any process, in all of them.
    """
    asked, failed, labelled, due = ranks.agree(
        [
            0 if stop.signal is None else int(stop.signal),
            int(loaded.error is not None),
            int(any_labelled(recipe, loaded.batches)),
            int(late and ranks.first),
        ]
    )
    if failed:
        raise next(error for error in ranks.gather_objects(loaded.error) if error is not None)
    return Agreed(signal.Signals(asked) if asked else None, bool(labelled), bool(due))
