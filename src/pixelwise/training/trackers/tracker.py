"""Interface and registry of trackers. Never imports torch.

A tracker is a class whose constructor takes no arguments, registered under a name by the module that defines it:

    @register_tracker("csv")
    class CsvTracker(Tracker): ...

The built-in trackers, in the modules beside this one, are registered in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord

OWN_LOG = "jsonl"
"""Name of the tracker that every run has."""


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a tracker records.

    Attributes:
        folder: The run folder. A tracker that writes files creates its own subfolder.
        recipe: The resolved recipe.
        environment: Command, machine and versions of the run.
        data: Recorded facts about the data set.
        steps: Number of steps from the beginning of the training to its end.
        done: Number of steps already done: 0 for a new run, else the run continues after that step. Records of later
            steps are no longer valid.
    """

    folder: Path
    recipe: Recipe
    environment: Environment
    data: DataFacts
    steps: int
    done: int


class Tracker:
    """Receives the events of a run; override the methods of interest.

    An exception raised by a tracker becomes a warning (W504), the tracker receives nothing more, and the training
    goes on. A tracker must not change the state of PyTorch's random generators.
    """

    @classmethod
    def require(cls) -> None:
        """Refuse what the tracker cannot work without, before anything else is done; the default accepts anything.

        Raises:
            PixelwiseError: The tracker cannot be used here, for example because a package is missing.
        """

    def start(self, run: TrackedRun) -> None:
        """The first step is about to begin."""

    def step(self, step: StepRecord) -> None:
        """A step changed the weights. Steps arrive in order, a few seconds after they were done."""

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """An evaluation between two steps is finished."""

    def record(self, record: AnyRecord) -> None:
        """Anything else happened: a warning, a step that changed nothing, a resume, the end of the training."""

    def flush(self) -> None:
        """A good moment to write what was received: nothing more arrives for a few seconds."""

    def finish(self) -> None:
        """The training ended, was stopped or failed; called once, after `start`."""


TRACKERS: Registry[type[Tracker]] = Registry("tracker", RecipeError, "R270", built_in=("pixelwise.training.trackers",))
"""Name -> tracker."""
AnyTracker = TypeVar("AnyTracker", bound=type[Tracker])


def register_tracker(name: str) -> Callable[[AnyTracker], AnyTracker]:
    """Decorator that registers a tracker class under a name, by which the option `track` selects it.

    Raises:
        RecipeError: R234, another tracker has the name.
    """

    def register(tracker: AnyTracker) -> AnyTracker:
        TRACKERS.add(name, tracker)
        return tracker

    return register


def require_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that do not exist or cannot be used here, without making them.

    Raises:
        RecipeError: R270, no tracker has that name; R272 and others, a tracker cannot be used here.
    """
    for name in dict.fromkeys(names):
        TRACKERS.find(name).require()


def make_trackers(names: Sequence[str]) -> dict[str, Tracker]:
    """Name -> new tracker for each of the names, without that of the run's own log, which every run has anyway.

    Raises:
        RecipeError: R270, no tracker has that name; R272 and others, a tracker cannot be used here.
    """
    return {name: TRACKERS.find(name)() for name in dict.fromkeys(names) if name != OWN_LOG}
