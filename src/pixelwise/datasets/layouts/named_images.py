"""Finds the images that annotations refer to by path or file name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pixelwise.datasets.layouts.listing import Entry


class NamedImages:
    """The images below a folder, found by path and by file name.

    Args:
        entries: The images of the data set.
        key: Reduces a path to the part that is compared, for example for annotations without file extensions.
    """

    def __init__(self, entries: Iterable[Entry], key: Callable[[Path], Path] = lambda path: path) -> None:
        self._key = key
        self._at: dict[Path, Entry] = {}
        self._called: dict[str, list[Entry]] = {}
        for entry in entries:
            path = key(entry.path)
            self._at.setdefault(path, entry)
            self._called.setdefault(path.name, []).append(entry)

    def at(self, *places: Path) -> Entry | None:
        """The image at the first of these paths that has one."""
        for place in places:
            try:
                entry = self._at.get(self._key(place))
            except ValueError:  # not a valid file name
                continue
            if entry is not None:
                return entry
        return None

    def called(self, name: str) -> list[Entry]:
        """All images with the file name of `name`, which may be a path from another machine."""
        return self._called.get(file_name(name), [])

    def only(self, name: str) -> Entry | None:
        """The image with the file name of `name`; None if there is none, or more than one."""
        same = self.called(name)
        return same[0] if len(same) == 1 else None

    def absence(self, name: str) -> str:
        """The reason why `only` found no image; follows the name in a message."""
        same = len(self.called(name))
        return f"exists {same} times, in different folders" if same > 1 else "does not exist"


def file_name(path: str) -> str:
    """The last part of a path with `/` or, as on Windows, with backslashes."""
    return path.replace("\\", "/").rpartition("/")[2]
