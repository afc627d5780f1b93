"""An observer that keeps what it is told."""

from __future__ import annotations

from pixelwise.observer import Observer


class Listener(Observer):
    """Keeps the names of all phases, and of each the last progress and the warnings."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.last: tuple[int, int | None] = (0, None)
        self.warnings: list[str] = []

    def phase(self, name: str, unit: str = "") -> None:
        self.phases.append(name)

    def progress(self, done: int, total: int | None) -> None:
        self.last = (done, total)

    def warn(self, code: str, message: str) -> None:
        self.warnings.append(code)
