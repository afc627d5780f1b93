"""What a tracker is, and the names by which trackers are chosen. Never imports torch.

A tracker is a class without arguments that is registered under a name, by whoever writes it:

    @register_tracker("csv")
    class CsvTracker(Tracker): ...

Built-in ones are registered in the same way, in the modules beside this one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import load_plugins
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.suggestions import did_you_mean
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord

OWN_LOG = "jsonl"
"""The tracker that no run is without."""
_BUILT_IN = "pixelwise.training.trackers"


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


TRACKERS: dict[str, type[Tracker]] = {}
"""Name -> tracker, of all that are registered so far."""
AnyTracker = TypeVar("AnyTracker", bound=type[Tracker])


def register_tracker(name: str) -> Callable[[AnyTracker], AnyTracker]:
    """Register a tracker under a name, by which `track` chooses it.

    Raises:
        RecipeError: R271, another tracker has the name.
    """

    def register(tracker: AnyTracker) -> AnyTracker:
        if not tracker.__module__.startswith(_BUILT_IN):
            _register_built_in()  # whose names cannot be taken
        known = TRACKERS.setdefault(name, tracker)
        if known is not tracker:
            raise RecipeError(
                "R271",
                f"tracker '{name}' of {tracker.__module__} is not registered: {known.__module__} has that name",
                "register it under another name",
            )
        return tracker

    return register


def find_tracker(name: str) -> type[Tracker]:
    """The tracker of that name: a built-in one, or one of another package.

    Raises:
        RecipeError: R270, there is no such tracker.
    """
    _register_built_in()
    if name not in TRACKERS:
        load_plugins("pixelwise.plugins")
    if name not in TRACKERS:
        known = tracker_names()
        raise RecipeError(
            "R270",
            f"`track` names '{name}'{did_you_mean(name, known)}; known trackers are {', '.join(known)}",
            "name one of them, or install the package that brings it",
        )
    return TRACKERS[name]


def tracker_names() -> list[str]:
    """The names of all trackers that can be chosen, those of other packages included."""
    _register_built_in()
    load_plugins("pixelwise.plugins")
    return sorted(TRACKERS.keys() - {OWN_LOG})


def _register_built_in() -> None:
    package = importlib.import_module(_BUILT_IN)
    for module in pkgutil.iter_modules(package.__path__, f"{_BUILT_IN}."):
        importlib.import_module(module.name)
