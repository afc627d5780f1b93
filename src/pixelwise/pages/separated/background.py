"""Which results are told from the best one, found out in the background: a page does not wait for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pixelwise.evaluation.comparison.comparing import Drawn, apart_from_best, drawn_of
from pixelwise.records.details import DETAILS
from pixelwise.records.result import Result

Version = tuple[Path, int, int]
"""Folder of an evaluation, and size and time of its counts."""


class Separations:
    """Draws the images of results one after another, in a thread that ends with the last.

    What is kept of each result are a few hundred numbers.

    Args:
        draw: Gives the scores of a result in the resamples of its images.
    """

    def __init__(self, draw: Callable[[Path, Result], Drawn] = drawn_of) -> None:
        self._draw = draw
        self._known: dict[Version, Drawn | None] = {}
        self._waiting: queue.SimpleQueue[tuple[Version, Result]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._working = False

    def of(self, results: Sequence[tuple[Path, Result]]) -> list[bool | None]:
        """Whether each result of one question is told from the best one by its images, after Holm's correction.

        Args:
            results: Folder of the evaluation and result.

        Returns:
            False for the best one itself; None where it is not known, or not yet.
        """
        if len(results) < 2:
            return [None] * len(results)
        drawn = [self._drawn(folder, result) for folder, result in results]
        return apart_from_best([result.miou for _, result in results], drawn)

    @property
    def pending(self) -> bool:
        """Whether some are still being drawn."""
        with self._lock:
            return self._working

    def _drawn(self, folder: Path, result: Result) -> Drawn | None:
        try:
            state = (folder / DETAILS).stat()
        except OSError:
            return None  # counts of single images were not kept
        version = folder, state.st_size, state.st_mtime_ns
        with self._lock:
            if version not in self._known:
                self._known[version] = None
                self._waiting.put((version, result))
                if not self._working:
                    self._working = True
                    threading.Thread(target=self._work, daemon=True).start()
            return self._known[version]

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._waiting.empty():
                    self._working = False
                    return
                version, result = self._waiting.get()
            try:
                found = self._draw(version[0], result)
            # Whatever is wrong with a result, it is shown without a mark, the others are drawn, and pages stop asking.
            except Exception:
                continue
            with self._lock:
                self._known[version] = found
