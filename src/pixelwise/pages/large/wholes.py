"""Predictions of large images at their own size, made in the background while somebody looks at their pages."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple

from pixelwise.errors import PixelwiseError
from pixelwise.pages.catalog import Refused
from pixelwise.pages.labels.tiles import MOST_PIXELS
from pixelwise.pages.large.files import PREDICTION
from pixelwise.storage.spilled import spilled_folder

MOST_BYTES = 2 * MOST_PIXELS
"""Bytes of finished predictions that stay on the disk: those of two images of any size, which a page may compare."""
PATIENCE = 15.0
"""Seconds after which nobody waits for a prediction any more; pages ask every second."""


class Standing(NamedTuple):
    """How far the prediction of an image is.

    Attributes:
        done: Share of its rows, 0..1.
        folder: Folder of the finished prediction; None until then.
        reason: Why there is none; empty unless it failed.
    """

    done: float = 0.0
    folder: Path | None = None
    reason: str = ""


class _Job:
    def __init__(self, folder: Path, pixels: int) -> None:
        self.folder, self.pixels, self.asked = folder, pixels, time.monotonic()
        self.is_finished, self.reason = False, ""

    @property
    def standing(self) -> Standing:
        if self.reason:
            return Standing(reason=self.reason)
        if self.is_finished:
            return Standing(1.0, self.folder)
        try:
            return Standing((self.folder / PREDICTION).stat().st_size / self.pixels)
        except OSError:  # not begun
            return Standing()


class Wholes:
    """Makes predictions, one at a time, and keeps the last ones until the server ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, _Job] = {}
        self._scratch: Path | None = None
        self._closing = contextlib.ExitStack()
        self._made = 0

    def known(self, key: Hashable) -> Path | None:
        """The folder of a finished prediction; None if there is none."""
        with self._lock:
            job = self._jobs.get(key)
            return job.folder if job is not None and job.is_finished and not job.reason else None

    def standing(self, key: Hashable, pixels: int, make: Callable[[Path], None]) -> Standing:
        """How far a prediction is; it begins when it is first asked for, and ends early if nobody asks again.

        Args:
            key: Tells it from others.
            pixels: Number of pixels of the image.
            make: Writes it into a folder, and gives up once that is removed.

        Raises:
            ResourceError: S601 and S606, the cache folder is full or cannot be written.
        """
        with self._lock:
            self._forget()
            job = self._jobs.pop(key, None)
            if job is None:
                job = _Job(self._folder(), pixels)
                threading.Thread(target=self._work, args=(job, make), daemon=True).start()
            self._jobs[key] = job  # the newest one is the last
            job.asked = time.monotonic()
            return job.standing

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            self._jobs.clear()
            self._scratch = None
            self._closing.close()

    def _folder(self) -> Path:
        if self._scratch is None:
            # If the server is killed, the next one finds it.
            self._scratch = self._closing.enter_context(spilled_folder())
        self._made += 1
        folder = self._scratch / str(self._made)
        folder.mkdir()
        return folder

    def _forget(self) -> None:
        """Give up what nobody waits for, and remove the oldest predictions if there are many."""
        now, held = time.monotonic(), 0
        for key, job in reversed(list(self._jobs.items())):
            held += job.pixels
            # What failed is tried again when it is looked at again.
            if (job.is_finished and not job.reason and held <= MOST_BYTES) or now - job.asked < PATIENCE:
                continue
            del self._jobs[key]
            shutil.rmtree(job.folder, ignore_errors=True)

    def _work(self, job: _Job, make: Callable[[Path], None]) -> None:
        reason = "It could not be predicted."
        try:
            make(job.folder)
            reason = ""
        except (Refused, PixelwiseError, OSError) as error:
            reason = str(error) or reason
        finally:
            with self._lock:
                job.reason, job.is_finished = reason, True
