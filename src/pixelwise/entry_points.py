"""Loading of the entry points of installed packages; a broken one is reported and does no harm."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pixelwise.errors import PixelwiseError, PixelwiseWarning

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

TAKEN = "R234"
"""Error code for a name that is registered twice."""


class Plugin(NamedTuple):
    """One entry point of an installed distribution; `str(plugin)` describes it with its origin.

    Attributes:
        name: Name of the entry point.
        value: Object reference: `package.module` or `package.module:attribute`.
        package: Name of the distribution, empty if its metadata is missing.
        version: Version of the distribution, empty if its metadata is missing.
        folder: Folder the distribution is installed in.
    """

    name: str
    value: str
    package: str
    version: str
    folder: str

    def __str__(self) -> str:
        """`entry point 'mine' of acme-models 1.2 (acme.recipes:RECIPES)`."""
        return f"entry point '{self.name}' of {self.origin} ({self.value})"

    @property
    def origin(self) -> str:
        """Name and version of the distribution, or its folder if it has no metadata."""
        return f"{self.package} {self.version}".strip() or f"a distribution without metadata in {self.folder}"

    @property
    def removal(self) -> str:
        """Help for a faulty plug-in: how to update, repair or remove it."""
        return f"update it, or remove it: pip uninstall {self.package}" if self.package else "repair or remove it"


class Loaded(NamedTuple):
    """A plug-in and the object its entry point refers to: a module or one of its attributes."""

    plugin: Plugin
    value: Any


class _Group:
    """The entry points of a group: not yet imported, to be tried again, and imported."""

    def __init__(self, points: Iterator[tuple[Plugin, EntryPoint]]) -> None:
        self.pending = list(points)
        self.deferred: list[tuple[Plugin, EntryPoint]] = []
        self.loaded: tuple[Loaded, ...] = ()


class _Current(threading.local):
    plugin: Plugin | None = None


loading = threading.RLock()
"""Held while built-in modules or plug-ins are imported for a registry."""
_current = _Current()
_groups: dict[str, _Group] = {}
undo: list[Callable[[Plugin], None]] = []
"""Functions called with a plug-in whose import failed, to remove what it had registered until then."""


def current() -> Plugin | None:
    """The plug-in whose module this thread is importing, if any."""
    return _current.plugin


def load_plugins(group: str) -> tuple[Loaded, ...]:
    """Import everything that installed packages register under `group`, once per process.

    A module that calls this while it is being imported gets all others, so that the order of the entry points does not
    matter. One that cannot be imported then is tried again later, because it may need the module that is incomplete.

    Args:
        group: Entry point group, such as `pixelwise.recipes`.

    Returns:
        The plug-ins that could be imported, in the order in which they were. Each of the others is reported as a
        warning: W241 if a name it registers is taken, else W240.
    """
    with loading:
        if group not in _groups:
            _groups[group] = _Group(_plugins_of(group))
        found, nested = _groups[group], _current.plugin is not None
        while found.pending or (found.deferred and not nested):
            # Taken out before it is imported, so that nested calls end.
            plugin, point = (found.pending or found.deferred).pop(0)
            error = _load(found, plugin, point)
            if error is None:
                continue
            if nested:
                found.deferred.append((plugin, point))
            elif isinstance(error, PixelwiseError) and error.code == TAKEN:
                warn("W241", f"{plugin} is not used: {error.message}", plugin.removal)
            else:
                refuse(plugin, f"cannot be imported: {_one_line(error)}")
        return found.loaded


def _load(found: _Group, plugin: Plugin, point: EntryPoint) -> BaseException | None:
    """Import an entry point; if that fails, undo what it registered and return the error."""
    outer, _current.plugin = _current.plugin, plugin
    try:
        found.loaded += (Loaded(plugin, point.load()),)
    except (Exception, SystemExit) as error:  # importing third-party code can raise anything
        for take_out in undo:
            take_out(plugin)
        return error
    finally:
        _current.plugin = outer
    return None


def refuse(plugin: Plugin, reason: str) -> None:
    """Warn (W240) that a plug-in is not used.

    Args:
        plugin: The plug-in.
        reason: Predicate of the sentence that begins with "entry point ... of ...", such as `cannot be imported`.
    """
    warn("W240", f"{plugin} {reason}; it is not used", plugin.removal)


def warn(code: str, message: str, help: str) -> None:
    """Issue a warning with a code; the command line prints it like an error."""
    # The message itself names the place that matters, so the caller's line is irrelevant.
    warnings.warn(PixelwiseWarning(code, message, help), stacklevel=2)


def _plugins_of(group: str) -> Iterator[tuple[Plugin, EntryPoint]]:
    seen = set()
    for distribution, text in _distributions():
        if group not in text:
            continue
        package, version, folder = _identity(distribution)
        key = package.lower().replace("-", "_").replace(".", "_") or folder
        if key in seen:
            continue  # shadowed by an earlier entry of `sys.path`, as in Python's imports
        seen.add(key)
        try:
            points = list(distribution.entry_points.select(group=group))
        except Exception as error:  # the parser raises other errors in other versions of Python
            plugin = Plugin(group, "entry_points.txt", package, version, folder)
            refuse(plugin, f"cannot be read: {_one_line(error)}")
            continue
        for point in points:
            yield Plugin(point.name, point.value, package, version, folder), point


@cache
def _distributions() -> tuple[tuple[Distribution, str], ...]:
    """Every installed distribution with an entry point group of Pixelwise, and the text of its `entry_points.txt`."""
    # Imported here because it takes 15 ms, which only a search for plug-ins should cost.
    from importlib.metadata import distributions

    found = []
    # Not `entry_points(group=...)`: one file that cannot be parsed would hide the entry points of all packages.
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except UnicodeDecodeError:
            continue  # no installer writes such a file, and no loader reads it
        if "pixelwise." in text:
            found.append((distribution, text))
    return tuple(found)


def _identity(distribution: Distribution) -> tuple[str, str, str]:
    """Name, version and folder of a distribution; empty where its metadata is missing or damaged."""
    folder = str(distribution.locate_file(""))
    try:
        return distribution.metadata["Name"] or "", distribution.metadata["Version"] or "", folder
    except Exception:  # a folder without METADATA raises different errors in different versions of Python
        return "", "", folder


def _one_line(error: BaseException) -> str:
    """Type and message of an error of third-party code, in one line."""
    reason = " ".join(str(error).split())
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
