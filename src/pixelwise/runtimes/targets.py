"""Export targets: what a format can do, and the functions that write it and run it.

A target is registered by the module that defines it. Built-in ones are the modules of `pixelwise.runtimes.formats`;
installed packages name theirs in the entry point group `pixelwise.plugins`. Registering imports neither PyTorch nor a
runtime: the functions do that when they are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry

if TYPE_CHECKING:
    import numpy as np

    from pixelwise.runtimes.graphs import ExportedNetwork

Engine: TypeAlias = "Callable[[np.ndarray], np.ndarray]"
"""An artefact that was opened: its contiguous input to its output."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A format that networks are exported to, together with the runtime that runs it.

    Attributes:
        name: What `--target`, `model.toml` and `card.json` call it: lower-case letters, digits and hyphens.
        label: Name of the runtime in tables and charts.
        summary: What it is for, in a few words.
        suffixes: Endings of an artefact's files, which are called `model`; the runtime opens the first one.
        write: Writes the files into an existing folder and returns their paths, the one that is opened first. What it
            raises is reported as K461.
        open: Opens a file for a number of threads per call (None: as the runtime likes). What it raises, and what the
            engine raises later, is reported as K463.
        packages: Modules that must be importable for writing and running.
        install: What `pip install` needs to be given for them.
        any_size: Whether one artefact can take any number of images of any size.
        schemes: The schemes of quantization-aware training whose networks it can hold; None: all.
        trained_int8: Whether it computes in int8 what was trained with 8-bit numbers.
        quantizer: Where the `Quantizer` is that makes int8 artefacts after training, as `package.module:NAME`; empty:
            there is none.
        marker: How points of this runtime look in charts: a marker of Matplotlib.
    """

    name: str
    label: str
    summary: str
    suffixes: tuple[str, ...]
    write: Callable[[ExportedNetwork, Path], list[Path]]
    open: Callable[[Path, int | None], Engine]
    packages: tuple[str, ...] = ()
    install: str = "pixelwise"
    any_size: bool = True
    schemes: tuple[str, ...] | None = None
    trained_int8: bool = False
    quantizer: str = ""
    marker: str = "X"


TARGETS: Registry[Target] = Registry("export target", RecipeError, "R250", built_in=("pixelwise.runtimes.formats",))


def register_target(target: Target) -> Target:
    """Add an export target; call it where the target is defined, at the top level of its module.

    Raises:
        ValueError: The name is not one that files and command lines can use.
        RecipeError: R234, another target has that name.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", target.name):
        raise ValueError(f"export target '{target.name}': expected lower-case letters, digits and hyphens")
    return TARGETS.add(target.name, target)


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        RecipeError: R250, neither Pixelwise nor an installed package has it.
    """
    return TARGETS.find(name)


def package_of(target: Target) -> str | None:
    """Name and version of the installed package that adds a target; None for a built-in one."""
    return next((f"{name} {version}" for name, version in TARGETS.packages_of(target.name)), None)


def list_targets() -> list[Target]:
    """All targets, those of installed packages included, by name."""
    return [target for _, target in sorted(TARGETS.all().items())]


def target_names() -> list[str]:
    """The names of all targets."""
    return [target.name for target in list_targets()]


def quantizable_names() -> list[str]:
    """The names of the targets that can be quantized after training."""
    return [target.name for target in list_targets() if target.quantizer]
