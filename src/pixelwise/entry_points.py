"""The entry points of installed packages, loaded so that a broken one can harm nobody."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pixelwise.errors import PixelwiseError, PixelwiseWarning

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

TAKEN = "R234"
"""Code of the error for a name that is registered a second time."""


class Plugin(NamedTuple):
    """One entry point of an installed distribution. `str(plugin)` says where it comes from.

    Attributes:
        name: The entry point's name.
        value: What it refers to: `package.module` or `package.module:attribute`.
        package: The distribution's name, empty if its metadata is missing.
        version: The distribution's version, empty if its metadata is missing.
        folder: The folder the distribution is installed in.
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
        """What to do about a plug-in that is wrong."""
        return f"update it, or remove it: pip uninstall {self.package}" if self.package else "repair or remove it"


class Loaded(NamedTuple):
    """A plug-in and the object that its entry point refers to: a module, or an attribute of one."""

    plugin: Plugin
    value: Any


current: Plugin | None = None
"""The plug-in whose module is being imported."""
undo: list[Callable[[Plugin], None]] = []
"""Called with a plug-in that failed, to take out what it registered before."""


@cache
def load_plugins(group: str) -> tuple[Loaded, ...]:
    """Import everything that installed packages register under `group`, once per process.

    Args:
        group: An entry point group, such as `pixelwise.recipes`.

    Returns:
        What could be imported, in the order of `sys.path`. Each entry point that could not is a warning (W240).
    """
    global current
    loaded = []
    for plugin, point in _found(group):
        current = plugin
        try:
            loaded.append(Loaded(plugin, point.load()))
        except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
            for take_out in undo:
                take_out(plugin)
            if isinstance(error, PixelwiseError) and error.code == TAKEN:
                warn("W241", f"{plugin} is not used: {error.message}", plugin.removal)
            else:
                refuse(plugin, f"cannot be imported: {_said(error)}")
        finally:
            current = None
    return tuple(loaded)


def refuse(plugin: Plugin, reason: str) -> None:
    """Warn (W240) that a plug-in is not used.

    Args:
        plugin: The plug-in.
        reason: Completes the sentence "entry point ... of ...".
    """
    warn("W240", f"{plugin} {reason}; it is not used", plugin.removal)


def warn(code: str, message: str, help: str) -> None:
    """Show a warning with a code; the command line prints it like an error."""
    # The place that counts is in the message, and no line of the caller's.
    warnings.warn(PixelwiseWarning(code, message, help), stacklevel=2)


def _found(group: str) -> Iterator[tuple[Plugin, EntryPoint]]:
    seen = set()
    for distribution, text in _distributions():
        if group not in text:
            continue
        package, version, folder = _identity(distribution)
        key = package.lower().replace("-", "_").replace(".", "_") or folder
        if key in seen:
            continue  # hidden by the one before on `sys.path`, as for Python
        seen.add(key)
        try:
            points = list(distribution.entry_points.select(group=group))
        except Exception as error:  # the parser's own errors differ between versions of Python
            plugin = Plugin(group, "entry_points.txt", package, version, folder)
            refuse(plugin, f"cannot be read: {_said(error)}")
            continue
        for point in points:
            yield Plugin(point.name, point.value, package, version, folder), point


@cache
def _distributions() -> tuple[tuple[Distribution, str], ...]:
    """Every installed distribution that has a group of entry points of ours, with its `entry_points.txt`."""
    # Importing it takes 15 ms, which only those pay who look for plug-ins.
    from importlib.metadata import distributions

    found = []
    # Not `entry_points(group=...)`: one file that cannot be parsed would hide those of all packages.
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except UnicodeDecodeError:
            continue  # no installer wrote that, and no loader reads it
        if "pixelwise." in text:
            found.append((distribution, text))
    return tuple(found)


def _identity(distribution: Distribution) -> tuple[str, str, str]:
    """Name, version and folder of a distribution; empty where its metadata is missing or damaged."""
    folder = str(distribution.locate_file(""))
    try:
        return distribution.metadata["Name"] or "", distribution.metadata["Version"] or "", folder
    except Exception:  # a folder without METADATA raises another error in each version of Python
        return "", "", folder


def _said(error: BaseException) -> str:
    """An error of foreign code in one line."""
    reason = " ".join(str(error).split())
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
