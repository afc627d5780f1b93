"""What a tracker is, and the names by which trackers are chosen. Never imports torch.

A tracker is a class without arguments that is registered under a name, by whoever writes it:

    @register_tracker("csv")
    class CsvTracker(Tracker): ...

Built-in ones are registered in the same way, in the modules beside this one.
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
    """The run that a tracker is told of.

    Attributes:
        folder: The run folder. A tracker that writes files makes a folder of its own in it.
        recipe: The resolved recipe.
        environment: The command, the machine and the versions.
        data: The data set.
        steps: Number of steps from the beginning of the training to its end.
        done: Steps that are done already: 0 for a new run, else the run is continued after that step. What a tracker
            was told of later steps counts no longer.
    """

    folder: Path
    recipe: Recipe
    environment: Environment
    data: DataFacts
    steps: int
    done: int


class Tracker:
    """Told what happens in a run; override what is of interest.

    An exception that a tracker raises becomes a warning (W504), the tracker is told nothing more, and the training
    goes on. A tracker must not change the state of PyTorch's random generators.
    """

    def start(self, run: TrackedRun) -> None:
        """The first step is about to begin."""

    def step(self, step: StepRecord) -> None:
        """A step changed the weights. Steps are told in their order, a few seconds after they were done."""

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """An evaluation between two steps is finished."""

    def record(self, record: AnyRecord) -> None:
        """Anything else happened: a warning, a step that changed nothing, a resume, the end of the training."""

    def flush(self) -> None:
        """Nothing more comes for a few seconds: what was told so far may be written."""

    def finish(self) -> None:
        """The training ended, was stopped or failed; called once, after `start`."""


TRACKERS: Registry[type[Tracker]] = Registry("tracker", RecipeError, "R270", built_in=("pixelwise.training.trackers",))
"""Name -> tracker."""
AnyTracker = TypeVar("AnyTracker", bound=type[Tracker])


def register_tracker(name: str) -> Callable[[AnyTracker], AnyTracker]:
    """Register a tracker under a name, by which `track` chooses it: a decorator for its class.

    Raises:
        RecipeError: R234, another tracker has the name.
    """

    def register(tracker: AnyTracker) -> AnyTracker:
        TRACKERS.add(name, tracker)
        return tracker

    return register


def make_trackers(names: Sequence[str]) -> dict[str, Tracker]:
    """The trackers of these names, each once; the run's own log is there anyway.

    Raises:
        RecipeError: R270, there is no such tracker; R272 and others, a tracker cannot be used here.
    """
    return {name: TRACKERS.find(name)() for name in dict.fromkeys(names) if name != OWN_LOG}
