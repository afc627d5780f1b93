"""Observers of long-running work: one interface for every function of the public API.

A function calls `phase` when a piece of work begins, `progress` while it goes on, `step` after every training step, and
`warn` when something is wrong. `Observer` itself does nothing, so it is the default everywhere; displays for
terminals, pipes and notebooks are in `pixelwise.reports.displays`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec

Warn = Callable[[str, str], None]
"""Receives the code and the message of a warning, as `Observer.warn` does."""


DRAWING = "drawing pictures"
"""Name of the phase in which pictures of scored images are drawn."""
PARTS = "predicting parts of a large image"
"""Name of the phase in which an image is predicted in parts; its progress counts windows."""
FRAMES = "predicting frames of a video"
"""Name of the phase in which a video is predicted; its progress counts frames."""


class TrainingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of a training run after a step.

    Attributes:
        step: Number of steps done.
        steps: Total number of steps.
        epoch: The current epoch, from 1.
        epochs: Total number of epochs.
        loss: Loss of a recent step, since losses are copied from the device a few dozen at a time; None before that.
        lr: Learning rate of this step.
        images_per_second: Training speed over recent steps, without evaluations; None until it is known.
        data_wait_share: Share of the time of these steps that was spent waiting for data, 0..1.
        miou: Mean IoU of the latest evaluation, 0..1; None before the first one.
        best_miou: Mean IoU of the best evaluation, 0..1; None before the first one.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float | None
    lr: float
    images_per_second: float | None
    data_wait_share: float
    miou: float | None
    best_miou: float | None


class TrainingScore(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation during a training, after a step.

    Attributes:
        step: Number of steps done.
        steps: Total number of steps.
        epoch: The current epoch, from 1.
        epochs: Total number of epochs.
        split: The evaluated split.
        mious: Mean IoU of every evaluation of the run so far, 0..1, this one last; None where nothing is labelled.
        best_miou: The highest of them; None before the first one.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    split: str
    mious: tuple[float | None, ...]
    best_miou: float | None


class TrainingStart(msgspec.Struct, frozen=True, kw_only=True):
    """A training that is about to begin, in words.

    Attributes:
        network: The network and its number of parameters.
        weights: What it begins with.
        data: Numbers of images, and the classes.
        batches: Crop, batch and steps.
        machine: Device, threads and number format.
        folder: The run folder.
        seconds: Expected seconds of training and evaluating; None if nothing was measured.
        choices: What was chosen for this run: field, value and reason.
        page: The page that shows the training while it goes on; empty if nothing writes it.
    """

    network: str
    weights: str
    data: str
    batches: str
    machine: str
    folder: str
    seconds: float | None = None
    choices: tuple[tuple[str, str, str], ...] = ()
    page: str = ""


class Observer:
    """Receives the events of a piece of work and ignores them; override the methods of interest.

    Nothing an observer does changes the result of the work.
    """

    def phase(self, name: str, unit: str = "") -> None:
        """A piece of work begins, such as `looking at the data`; the previous one is over.

        Args:
            name: Name of the work, in a few words.
            unit: `bytes` if progress counts bytes, which displays show as MB and GB; empty if it counts items.
        """

    def progress(self, done: int, total: int | None) -> None:
        """`done` of `total` images, bytes or layers of the current phase are finished; None: the total is unknown."""

    def note(self, text: str) -> None:
        """Something worth knowing that is no work and no fault, in a sentence that stays on the screen."""

    def begin(self, start: TrainingStart) -> None:
        """A training begins: everything about it is decided."""

    def step(self, status: TrainingStatus) -> None:
        """A training step is finished."""

    def scored(self, score: TrainingScore) -> None:
        """An evaluation between two steps of a training, or after its last one, is finished."""

    def warn(self, code: str, message: str) -> None:
        """Something is wrong, and the work goes on; `code` is explained in docs/errors.md."""


SILENT = Observer()
"""Default of every `observer` parameter."""


class Relay(Observer):
    """Observer that passes every event on to another one; a subclass looks at those of interest on their way.

    Args:
        observer: Receives every event, unchanged.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer


def _passing_on(name: str) -> Callable[..., None]:
    @functools.wraps(getattr(Observer, name))
    def pass_on(self: Relay, *what: Any, **named: Any) -> None:
        getattr(self._observer, name)(*what, **named)

    return pass_on


for _name in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Relay, _name, _passing_on(_name))  # whatever events there will be, none is lost on its way


class Callbacks(Observer):
    """Observer that passes progress and warnings to plain functions.

    Args:
        progress: Called with the number of finished items and their total; not for the pictures drawn afterwards nor
            for parts of images and frames of videos, because a function that knows no phases would take them for more
            images.
        warn: Called with the code and the message of a warning.
    """

    def __init__(self, progress: Callable[[int, int], None] | None = None, warn: Warn | None = None) -> None:
        self._progress, self._warn = progress, warn
        self._phase = ""

    def phase(self, name: str, unit: str = "") -> None:
        """Remember what is counted."""
        self._phase = name

    def progress(self, done: int, total: int | None) -> None:
        """Call the function for progress, unless the total is unknown."""
        if self._progress is not None and total is not None and self._phase not in (DRAWING, PARTS, FRAMES):
            self._progress(done, total)

    def warn(self, code: str, message: str) -> None:
        """Call the function for warnings."""
        if self._warn is not None:
            self._warn(code, message)


def observing(observer: Observer, keywords: dict[str, Any]) -> Observer:
    """The observer of a call that may also pass functions as `progress` and `warn`, the interface before observers.

    Args:
        observer: The observer of the call.
        keywords: Further keywords of the call; the two functions are removed, so that only options remain.

    Returns:
        A `Callbacks` where one of the two functions was given, else `observer`.
    """
    found = {name: keywords.pop(name) for name in ("progress", "warn") if name in keywords}
    return Callbacks(**found) if any(function is not None for function in found.values()) else observer
