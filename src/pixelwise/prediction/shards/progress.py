"""Progress of work that is done in units."""

from __future__ import annotations

from pixelwise.observer import Observer, Relay


class UnitsProgress(Relay):
    """Counts the images of all units where those of one are counted.

    Args:
        observer: Receives the number of images that are done, and how many there are.
        done: Number of images that were done before.
        total: Number of images of all units.
    """

    def __init__(self, observer: Observer, done: int, total: int) -> None:
        super().__init__(observer)
        self._done, self._total = done, total
        observer.progress(done, total)

    def progress(self, done: int, total: int | None) -> None:
        """Images of the unit that are done."""
        self._observer.progress(self._done + done, self._total)

    def unit_done(self, images: int) -> None:
        """A unit of so many images is done."""
        self._done += images
        self._observer.progress(self._done, self._total)
