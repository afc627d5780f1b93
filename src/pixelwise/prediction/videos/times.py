"""Time stamps of frames: those of the file, and others only where it has none that could be used."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


class Clock:
    """Gives every frame a time stamp that is later than that of the frame before it.

    Args:
        time_base: Seconds of a unit.
        rate: Frames per second, for frames without a time stamp.

    Attributes:
        first: Time stamp of the first frame; None before it.
        last: That of the latest frame.
        end: Until when the latest frame is shown.
    """

    def __init__(self, time_base: Fraction, rate: Fraction) -> None:
        self.first: int | None = None
        self.last: int | None = None
        self.end = 0
        self._step = max(1, round(1 / (rate * time_base)))
        self._time_base = time_base
        self._mended, self._where = 0, 0

    def stamp(self, frame: Any) -> tuple[int, int]:
        """Time stamp and duration of the next frame, in units of the time base; 0 for an unknown duration.

        Args:
            frame: The frame as PyAV gives it; where it has no time of its own, that of its decoding counts.
        """
        found = frame.pts if frame.pts is not None else frame.dts
        duration = max(int(frame.duration or 0), 0)
        if found is None:
            pts = 0 if self.last is None else max(self.end, self.last + 1)
        elif self.last is not None and found <= self.last:
            pts = self.last + 1
        else:
            pts = found
        if found != pts:
            self._where = pts if not self._mended else self._where
            self._mended += 1
        self.first = pts if self.first is None else self.first
        self.last, self.end = pts, pts + (duration or self._step)
        return pts, duration

    def in_words(self) -> str:
        """What was changed; empty if every frame keeps its own time stamp."""
        found = []
        if self._mended:
            found.append(f"{self._mended} of them, the first at {float(self._where * self._time_base):.3f} s")
        if self.first is not None and self.first < 0:
            shift = float(-self.first * self._time_base)
            found.append(f"the overlay begins {shift:.3f} s later, since it cannot begin before 0")
        return "; ".join(found)
