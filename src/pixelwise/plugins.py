"""What can be extended: registries by name, filled by our own modules and by those of other packages alike.

A package of kinds (model families, encoders, formats, loss terms, ...) owns one `Registry`:

    TERMS: Registry[Term] = Registry("loss term", LossError, "R299", built_in=("pixelwise.losses",))

Every module that defines one registers it when it is imported, ours and a stranger's by the same call, and whoever
needs one by its name asks `TERMS.find(name)`. That imports our own modules first, then, if the name is still unknown,
the modules that installed packages name under the entry point group `pixelwise.plugins`. A package that is wrong is
named in a `PixelwiseWarning`, and everything else works on without it.
"""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pixelwise.errors import PixelwiseError, PixelwiseWarning, RecipeError
from pixelwise.suggestions import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

GROUP = "pixelwise.plugins"
"""Entry point group of modules that register something when they are imported."""
TAKEN = "R234"
"""Code of the error for a name that is registered a second time."""

Value = TypeVar("Value")
_loading = threading.RLock()
_current: Plugin | None = None
"""The plug-in whose module is being imported."""


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


@cache
def load_plugins(group: str) -> tuple[Loaded, ...]:
    """Import everything that installed packages register under `group`, once per process.

    Args:
        group: An entry point group, such as `pixelwise.recipes`.

    Returns:
        What could be imported, in the order of `sys.path`. Each entry point that could not is a warning (W240).
    """
    global _current
    loaded = []
    for plugin, point in _found(group):
        _current = plugin
        try:
            loaded.append(Loaded(plugin, point.load()))
        except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
            for registry in _registries:
                registry.discard_all_of(plugin)
            if isinstance(error, PixelwiseError) and error.code == TAKEN:
                warn("W241", f"{plugin} is not used: {error.message}", plugin.removal)
            else:
                refuse(plugin, f"cannot be imported: {_said(error)}")
        finally:
            _current = None
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


class _Place(NamedTuple):
    """Where something was registered: the module, and the plug-in that it was imported for, if any."""

    module: str
    plugin: Plugin | None

    def __str__(self) -> str:
        return self.module if self.plugin is None else f"{self.module} ({self.plugin.origin})"


_registries: list[Registry[Any]] = []


class Registry(dict[str, Value], Generic[Value]):
    """Name -> one thing of a kind. As a dict it holds what has been registered so far; `find` and `all` look further.

    Args:
        kind: What one of them is called in messages, such as `loss term`.
        error: Class of the error for an unknown name, a `PixelwiseError`.
        code: Its code, explained in docs/errors.md.
        built_in: Our own modules, or packages all of whose modules, register some; imported when a name is looked for.
        help: The way out of an unknown name; left out, the known names are listed.
    """

    def __init__(
        self,
        kind: str,
        error: Callable[[str, str, str], PixelwiseError],
        code: str,
        *,
        built_in: Sequence[str] = (),
        help: str = "",
    ) -> None:
        super().__init__()
        self.kind = kind
        self._error, self._code, self._help = error, code, help
        self._built_in = tuple(built_in)
        self._modules: list[str] | None = None
        self._pending: list[str] = []
        self._places: dict[str, _Place] = {}
        self._home = sys._getframe(1).f_globals.get("__name__", "")
        _registries.append(self)

    def add(self, name: str, value: Value) -> Value:
        """Register something; the module that calls, directly or through a decorator, is where it comes from.

        A class or function that is defined again by the same module, as a notebook's cell does, replaces the former.

        Args:
            name: Its name, as recipes and the command line say it.
            value: The thing itself.

        Returns:
            `value`.

        Raises:
            RecipeError: R234, the name is taken; both places are named.
        """
        place = _place(self._caller())
        if not self._is_own(place.module):
            self._import_built_in()  # a name of ours is taken, whether or not its module has been needed yet
        before = self._places.get(name)
        if name in self and not (before is not None and _defined_again(before, self[name], place, value)):
            raise RecipeError(
                TAKEN,
                f"the {self.kind} '{name}' is registered by {before or 'another module'} and again by {place}",
                "choose another name; the package's own in front of it is always free",
            )
        self[name] = value
        self._places[name] = place
        return value

    def look_up(self, name: str) -> Value | None:
        """What has that name: ours, else a plug-in's, which are then imported; None where there is none."""
        if name not in self:
            self._import_built_in(name)
        if name not in self:
            import_plugins()
        return self.get(name)

    def find(self, name: str, where: str = "") -> Value:
        """What has that name: ours, else a plug-in's, which are then imported.

        Args:
            name: As it was registered.
            where: Begins the message of the error, such as `recipe.toml: model.family: `.

        Raises:
            PixelwiseError: The registry's own error, with the nearest names: nothing has that name.
        """
        found = self.look_up(name)
        if found is None:
            raise self.unknown(name, where)
        return found

    def unknown(self, name: str, where: str = "") -> PixelwiseError:
        """The error for a name that `look_up` does not know."""
        message = f"{where}no {self.kind} is named '{name}'{did_you_mean(name, self)}"
        known = f"known are {', '.join(sorted(self))}" if self else "there are none"
        return self._error(
            self._code, message, self._help or f"{known}; one of another package needs that package installed"
        )

    def own(self) -> dict[str, Value]:
        """Ours alone, in the order of the modules that register them, whichever was needed first."""
        self._import_built_in()
        names = [name for name in self if self._is_own(self.module_of(name))]
        places = {module: place for place, module in enumerate(self._modules or ())}
        return {name: self[name] for name in sorted(names, key=lambda name: places.get(self.module_of(name), -1))}

    def all(self) -> dict[str, Value]:
        """Ours, as `own` has them, then those of others, among them every plug-in's, which are then imported."""
        own = self.own()
        import_plugins()
        return {**own, **self}

    def module_of(self, name: str) -> str:
        """Name of the module that registered it; empty if nobody did by `add`."""
        place = self._places.get(name)
        return place.module if place else ""

    def discard(self, name: str) -> None:
        """Take something out again, as a test does with what it registered."""
        self.pop(name, None)
        self._places.pop(name, None)

    def discard_all_of(self, plugin: Plugin) -> None:
        """Take out what a plug-in registered before its import failed."""
        for name in [name for name, place in self._places.items() if place.plugin == plugin]:
            self.discard(name)

    def packages(self) -> Iterator[tuple[str, str]]:
        """Name and version of the distribution behind everything that is not ours; see `packages_in_use`."""
        for name in self._places:
            yield from self.packages_of(name)

    def packages_of(self, name: str) -> tuple[tuple[str, str], ...]:
        """Name and version of the distribution that registered something: one, or none for ours and for a script's."""
        place = self._places.get(name)
        if place is None or self._is_own(place.module):
            return ()
        if place.plugin is not None and place.plugin.package:
            return ((place.plugin.package, place.plugin.version),)
        return _distributions_of(place.module)

    def _is_own(self, module: str) -> bool:
        return module == self._home or any(module == own or module.startswith(f"{own}.") for own in self._built_in)

    def _caller(self) -> str:
        """The module nearest in the stack that is neither this one nor the registry's own, if there is one."""
        frame = sys._getframe(2)
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module not in (__name__, self._home):
                return module if not module.startswith("importlib") else self._home
            frame = frame.f_back
        return self._home

    def _import_built_in(self, until: str | None = None) -> None:
        """Import our own modules that register something, one by one, as far as the one that registers `until`."""
        if self._modules is None:
            self._modules = [module for name in self._built_in for module in _modules_of(name)]
            self._pending = list(self._modules)
        if until is not None:  # most often the module's name has a word in common with it
            words = set(until.replace("-", "_").split("_"))
            self._pending.sort(key=lambda module: -len(words & set(module.rpartition(".")[2].split("_"))))
        while self._pending and (until is None or until not in self):
            importlib.import_module(self._pending.pop(0))


def import_plugins() -> None:
    """Import what installed packages register under `pixelwise.plugins`, once per process."""
    with _loading:
        if _current is None:  # a plug-in that looks for a name while it is imported does not wait for itself
            load_plugins(GROUP)


def packages_in_use() -> dict[str, str]:
    """Name -> version of the distributions that registered anything in this process: what a run has to name.

    A module that no distribution brought, such as a script, is not among them.
    """
    return dict(sorted({package for registry in _registries for package in registry.packages()}))


def missing_packages(packages: Mapping[str, str]) -> list[str]:
    """Those of a run's `packages_in_use` that are not installed here, as `pip install` takes them (`acme==1.2`)."""
    from importlib.metadata import PackageNotFoundError, version

    missing = []
    for name, used in packages.items():
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(f"{name}=={used}")
    return missing


def _place(module: str) -> _Place:
    """Where a module is from; one that another plug-in's module imports is not that plug-in's."""
    mine = _current is not None and _current.value.split(":")[0].split(".")[0] == module.split(".")[0]
    return _Place(module, _current if mine else None)


def _modules_of(name: str) -> list[str]:
    """A module, or the modules of a package and of its folders, in the order of the alphabet."""
    module = importlib.import_module(name)
    if not hasattr(module, "__path__"):
        return [name]
    files = [(Path(folder), file) for folder in module.__path__ for file in Path(folder).rglob("[!_]*.py")]
    return sorted(".".join((name, *file.relative_to(folder).with_suffix("").parts)) for folder, file in files)


def _defined_again(before: _Place, old: Any, place: _Place, new: Any) -> bool:
    """Whether a module registers a class or function of the same name again, as on being reloaded."""
    same = getattr(old, "__qualname__", old), getattr(new, "__qualname__", new)
    return before.module == place.module and (same[0] == same[1] or place.module == "__main__")


@cache
def _distributions_of(module: str) -> tuple[tuple[str, str], ...]:
    """Names and versions of the distributions that a module belongs to: one, or none."""
    from importlib.metadata import packages_distributions, version

    names = packages_distributions().get(module.partition(".")[0], [])
    return tuple((name, version(name)) for name in dict.fromkeys(names))


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
