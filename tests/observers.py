"""An observer made of functions, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pixelwise.observer import Observer, TrainingScore, TrainingStatus


class Told(Observer):
    """Calls the functions it is given; what it has none for stays silent.

    Args:
        phase: Called with the name of a phase.
        progress: Called with the phase, what is done, and the total.
        step: Called with the status after a step.
        warn: Called with code and message.
        scored: Called with a score during training.
        note: Called with a sentence.
    """

    def __init__(
        self,
        *,
        phase: Callable[[str], Any] = lambda name: None,
        progress: Callable[[str, int, int | None], Any] = lambda name, done, total: None,
        step: Callable[[TrainingStatus], Any] = lambda status: None,
        warn: Callable[[str, str], Any] = lambda code, message: None,
        scored: Callable[[TrainingScore], Any] = lambda score: None,
        note: Callable[[str], Any] = lambda text: None,
    ) -> None:
        self._functions = phase, progress, step, warn
        self._scored, self._note = scored, note
        self._phase = ""

    def phase(self, name: str, unit: str = "") -> None:
        self._phase = name
        self._functions[0](name)

    def progress(self, done: int, total: int | None) -> None:
        self._functions[1](self._phase, done, total)

    def step(self, status: TrainingStatus) -> None:
        self._functions[2](status)

    def warn(self, code: str, message: str) -> None:
        self._functions[3](code, message)

    def scored(self, score: TrainingScore) -> None:
        self._scored(score)

    def note(self, text: str) -> None:
        self._note(text)
