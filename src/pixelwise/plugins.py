"""Registries of everything that can be extended, filled by built-in modules and by plug-ins of other packages alike.

Every package of interchangeable parts (model families, encoders, formats, loss terms, ...) owns one `Registry`:

    TERMS: Registry[Term] = Registry("loss term", LossError, "R299", built_in=("pixelwise.losses",))

A module registers what it defines when it is imported; built-in modules and plug-ins use the same call.
`TERMS.find(name)` looks a part up by its name. It imports the built-in modules first and then, if the name is still
unknown, the modules that installed packages list under the entry point group `pixelwise.plugins`. A broken package is
named in a `PixelwiseWarning`, and everything else works without it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pixelwise import entry_points
from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.suggestions import did_you_mean

GROUP = "pixelwise.plugins"
"""Entry point group of the modules that register something when they are imported."""

_RENAME = "choose another name; one that begins with the name of your package is always free"

Value = TypeVar("Value")


class _Place(NamedTuple):
    """The module that registered something, and the plug-in for which that module was imported, if any."""

    module: str
    plugin: entry_points.Plugin | None

    def __str__(self) -> str:
        return self.module if self.plugin is None else f"{self.module} ({self.plugin.origin})"


_registries: list[Registry[Any]] = []


class Registry(dict[str, Value], Generic[Value]):
    """Name -> value, for the values of one kind.

    As a dict it holds what has been registered so far; `find` and `all` also import what has not been imported yet.

    Args:
        kind: Name of the kind in messages, such as `loss term`.
        error: Class of the error for an unknown name, a `PixelwiseError`.
        code: Code of that error, explained in docs/errors.md.
        built_in: Built-in modules that register values, or packages of such modules; imported when a name is looked up.
        help: Help of the error for an unknown name; left out, it lists the known names.
        heavy: Whether importing the built-in modules loads torch. If so, a plug-in's name is compared with the built-in
            ones only when it is looked up, and the built-in one wins with a warning (W241); otherwise a name that is
            taken is refused at once.
    """

    def __init__(
        self,
        kind: str,
        error: Callable[[str, str, str], PixelwiseError],
        code: str,
        *,
        built_in: Sequence[str] = (),
        help: str = "",
        heavy: bool = False,
    ) -> None:
        super().__init__()
        self.kind = kind
        self._heavy = heavy
        self._error, self._code, self._help = error, code, help
        self._built_in = tuple(built_in)
        self._modules: list[str] | None = None
        self._pending: list[str] = []
        self._places: dict[str, _Place] = {}
        self._home = sys._getframe(1).f_globals.get("__name__", "")
        _registries.append(self)
        entry_points.undo.append(self.discard_all_of)

    def add(self, name: str, value: Value) -> Value:
        """Register a value; its origin is the module that calls this, directly or through a decorator.

        A class or function that the same module defines again, as re-running a notebook cell does, replaces the former.

        Args:
            name: Name of the value in recipes and on the command line.
            value: What is registered, often a class or a function.

        Returns:
            `value`.

        Raises:
            RecipeError: R234, the name is taken; the message names both modules.
        """
        place = _place(self._caller())
        own = self._is_own(place.module)
        if not own and not self._heavy:
            self._import_built_in()  # built-in names are taken even if their modules have not been needed yet
        before = self._places.get(name)
        if name in self and not (before is not None and _defined_again(before, self[name], place, value)):
            if before is None or not own or self._is_own(before.module):
                raise RecipeError(
                    entry_points.TAKEN,
                    f"the {self.kind} '{name}' is registered by {before or 'another module'} and again by {place}",
                    _RENAME,
                )
            entry_points.warn(
                "W241", f"the {self.kind} '{name}' of {before} is not used: {place} has the same name", _RENAME
            )
        self[name] = value
        self._places[name] = place
        return value

    def look_up(self, name: str) -> Value | None:
        """The value of that name, or None; plug-ins are imported only if it is not a built-in name."""
        if name not in self or self._heavy:
            self._import_built_in(name)
        if name not in self:
            import_plugins()
        return self.get(name)

    def find(self, name: str, where: str = "") -> Value:
        """The value of that name; plug-ins are imported only if it is not a built-in name.

        Args:
            name: Name under which the value was registered.
            where: Beginning of the error message, such as `recipe.toml: model.family: `.

        Raises:
            PixelwiseError: The registry's own error, with the nearest names: the name is unknown.
        """
        found = self.look_up(name)
        if found is None:
            raise self.unknown(name, where)
        return found

    def unknown(self, name: str, where: str = "") -> PixelwiseError:
        """The error for a name that `look_up` does not know."""
        message = f"{where}no {self.kind} is named '{name}'{did_you_mean(name, self)}"
        known = f"choose one of {', '.join(sorted(self))}" if self else "none is registered"
        return self._error(
            self._code, message, self._help or f"{known}; one from another package needs that package installed"
        )

    def own(self) -> dict[str, Value]:
        """The built-in values alone, always in the order of the modules that register them."""
        self._import_built_in()
        names = [name for name in self if self._is_own(self.module_of(name))]
        places = {module: place for place, module in enumerate(self._modules or ())}
        return {name: self[name] for name in sorted(names, key=lambda name: places.get(self.module_of(name), -1))}

    def all(self) -> dict[str, Value]:
        """The built-in values in the order of `own`, then all others; every plug-in is imported."""
        own = self.own()
        import_plugins()
        return {**own, **self}

    def module_of(self, name: str) -> str:
        """Name of the module that registered the value; empty if it was not registered with `add`."""
        place = self._places.get(name)
        return place.module if place else ""

    def discard(self, name: str) -> None:
        """Remove a value, as tests do with what they registered."""
        self.pop(name, None)
        self._places.pop(name, None)

    def discard_all_of(self, plugin: entry_points.Plugin) -> None:
        """Remove what a plug-in registered before its import failed.

        A module that it had imported completely stays in `sys.modules`, so it would not register anything again.
        """
        for name, place in list(self._places.items()):
            if place.plugin == plugin and place.module not in sys.modules:
                self.discard(name)

    def packages(self) -> Iterator[tuple[str, str]]:
        """Name and version of the distribution of every value that is not built in; see `packages_in_use`."""
        for name in self._places:
            yield from self.packages_of(name)

    def packages_of(self, name: str) -> tuple[tuple[str, str], ...]:
        """Name and version of the distribution that registered the value; empty for a built-in or a script's one."""
        place = self._places.get(name)
        if place is None or self._is_own(place.module):
            return ()
        if place.plugin is not None and place.plugin.package:
            return ((place.plugin.package, place.plugin.version),)
        return _distributions_of(place.module)

    def _is_own(self, module: str) -> bool:
        return module == self._home or any(module == own or module.startswith(f"{own}.") for own in self._built_in)

    def _caller(self) -> str:
        """The nearest module in the call stack other than this one and the registry's own, which is the fallback."""
        frame = sys._getframe(2)
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module not in (__name__, self._home):
                return module if not module.startswith("importlib") else self._home
            frame = frame.f_back
        return self._home

    def _import_built_in(self, until: str | None = None) -> None:
        """Import the built-in modules one by one, stopping after the one that registers `until`."""
        if self._modules is not None and not self._pending:
            return
        with entry_points.loading:
            if self._modules is None:
                self._pending = [module for name in self._built_in for module in _modules_of(name)]
                self._modules = list(self._pending)
            if until is not None:  # the module's name usually shares a word with it
                words = set(until.replace("-", "_").split("_"))
                self._pending.sort(key=lambda module: -len(words & set(module.rpartition(".")[2].split("_"))))
            while self._pending and not (until in self and self._is_own(self.module_of(until or ""))):
                module = self._pending[0]
                importlib.import_module(module)
                # Not before: other threads do not wait for a module that is not pending.
                if module in self._pending:  # the module may have looked up a name itself
                    self._pending.remove(module)


def import_plugins() -> None:
    """Import what installed packages register under `pixelwise.plugins`, once per process.

    Within a plug-in that is being imported, all others are.
    """
    entry_points.load_plugins(GROUP)


def packages_in_use() -> dict[str, str]:
    """Name -> version of the distributions that registered anything in this process, which a run has to record.

    A module that belongs to no distribution, such as a script, is not included.
    """
    return dict(sorted({package for registry in _registries for package in registry.packages()}))


def missing_packages(packages: Mapping[str, str]) -> list[str]:
    """Requirements for `pip install` (`acme==1.2`): those of a run's `packages_in_use` that are not installed here."""
    from importlib.metadata import PackageNotFoundError, version

    missing = []
    for name, used in packages.items():
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(f"{name}=={used}")
    return missing


def _place(module: str) -> _Place:
    """Origin of a module; the plug-in being imported is named only if the module belongs to its package."""
    plugin = entry_points.current()
    mine = plugin is not None and plugin.value.partition(":")[0].partition(".")[0] == module.partition(".")[0]
    return _Place(module, plugin if mine else None)


def _modules_of(name: str) -> list[str]:
    """The module itself, or all public modules below a package, in alphabetical order."""
    module = importlib.import_module(name)
    if not hasattr(module, "__path__"):
        return [name]
    files = [(Path(folder), file) for folder in module.__path__ for file in Path(folder).rglob("[!_]*.py")]
    return sorted(".".join((name, *file.relative_to(folder).with_suffix("").parts)) for folder, file in files)


def _defined_again(before: _Place, old: Any, place: _Place, new: Any) -> bool:
    """Whether a module registers a class or function of the same name again, as when it is reloaded."""
    same = getattr(old, "__qualname__", old), getattr(new, "__qualname__", new)
    return before.module == place.module and (same[0] == same[1] or place.module == "__main__")


@cache
def _distributions_of(module: str) -> tuple[tuple[str, str], ...]:
    """Names and versions of the distributions that provide the module's top-level package; usually one or none."""
    from importlib.metadata import packages_distributions, version

    names = packages_distributions().get(module.partition(".")[0], [])
    return tuple((name, version(name)) for name in dict.fromkeys(names))
