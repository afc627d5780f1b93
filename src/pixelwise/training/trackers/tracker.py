"""Interface and registry of trackers. Never imports torch.

A tracker is a class whose constructor takes no arguments, registered under a name by the module that defines it:

    @register_tracker("csv")
    class CsvTracker(Tracker): ...

The built-in trackers, in the modules beside this one, are registered in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord
from pixelwise.records.result import Result
from pixelwise.records.status import Pace

OWN_LOG = "jsonl"
"""Name of the tracker that every run has."""


State = Literal["training", "stopped", "finished"]


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a tracker records.

    Attributes:
        folder: The run folder. A tracker that writes files creates its own subfolder.
        recipe: The resolved recipe.
        environment: Command, machine and versions of the run.
        data: Recorded facts about the data set.
        steps: Number of steps from the beginning of the training to its end; of a run that is sent later, of those
            that it has taken.
        done: Number of the last step that the tracker has received: 0 for a new run, else later steps follow.
        tracked: What `Tracker.tracked` was when the tracker was last at work on this run; empty for a new run.
    """

    folder: Path
    recipe: Recipe
    environment: Environment
    data: DataFacts
    steps: int
    done: int
    tracked: str = ""

    @property
    def name(self) -> str:
        """Name of the run for people: that of its folder, for a stage after that of the run that it belongs to."""
        place = self.folder.absolute()
        return f"{place.parents[1].name}-{place.name}" if place.parent.name == "stages" else place.name


class TrackedPicture(NamedTuple):
    """A validation image as it is predicted.

    Attributes:
        id: Sample id of the image.
        step: Number of steps done.
        pixels: The image with the colours of the predicted classes over it, uint8 (H, W, 3).
    """

    id: str
    step: int
    pixels: Any


class Tracker:
    """Receives what happens in a run; override the methods of interest.

    Everything is read from the run's own files, while it trains and later alike. During training all methods are
    called from one thread of its own, so a tracker may take its time; an exception becomes a warning (W504), the
    tracker receives nothing more, and the training goes on. What it did not receive can be sent with
    `pixelwise track`. A tracker must not change the state of PyTorch's random generators.

    Attributes:
        tracked: Name under which the tracker knows the run, if it has one; set by `start`, and given to the next
            tracker that goes on with the run.
        where: Where the user finds the run, such as a command or an address without secrets; set by `start`.
    """

    tracked: str = ""
    where: str = ""

    @classmethod
    def require(cls) -> None:
        """Refuse what the tracker cannot work without, before anything else is done; the default accepts anything.

        Imports of large packages belong here: loader processes are forked later, which must not happen in the middle
        of an import.

        Raises:
            PixelwiseError: The tracker cannot be used here, for example because a package is missing.
        """

    def place(self) -> str:
        """Where the tracker keeps runs, if that depends on settings: a run is another one in another place."""
        return ""

    def start(self, run: TrackedRun) -> None:
        """Begin with a run, or go on with it."""

    def step(self, step: StepRecord) -> None:
        """A step changed the weights. Steps arrive in order, a few seconds after they were done, each once."""

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """An evaluation between two steps is finished."""

    def record(self, record: AnyRecord) -> None:
        """Anything else happened: a warning, a step that changed nothing, a resume, the end of the training."""

    def pace(self, pace: Pace) -> None:
        """Speed and memory were measured."""

    def picture(self, picture: TrackedPicture) -> None:
        """A validation image was predicted."""

    def result(self, name: str, result: Result) -> None:
        """The run was scored; `name` is that of the folder below `evaluations/`, such as `val-native`."""

    def file(self, name: str, path: Path) -> None:
        """A file of the run is new or has changed: its report or a result; `name` is its path in the run folder."""

    def flush(self) -> None:
        """A good moment to write what was received: nothing more arrives for a few seconds.

        What was received until a flush without exception is not sent again.
        """

    def state(self, state: State) -> None:
        """How the run stands; called right before `finish`."""

    def finish(self) -> None:
        """Nothing more arrives; called once, after `start`."""


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


def chosen_trackers(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once, without that of the run's own log, which every run has anyway."""
    return tuple(name for name in dict.fromkeys(names) if name != OWN_LOG)


def make_tracker(name: str) -> Tracker:
    """A new tracker of a name.

    Raises:
        RecipeError: R270, no tracker has that name; R272 and others, the tracker cannot be used here.
    """
    kind = TRACKERS.find(name)
    kind.require()
    return kind()
