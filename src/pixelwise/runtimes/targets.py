"""Export targets: the capabilities of a format, and the functions that write and run it.

A target is registered by the module that defines it. Built-in targets are the modules of `pixelwise.runtimes.formats`;
installed packages list theirs in the entry point group `pixelwise.plugins`. Registration imports neither PyTorch nor a
runtime: the functions do that when they are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pixelwise.entry_points import TAKEN
from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry

if TYPE_CHECKING:
    import numpy as np

    from pixelwise.runtimes.graphs import ExportedNetwork

Engine: TypeAlias = "Callable[[np.ndarray], np.ndarray]"
"""Function that runs an opened artefact: contiguous input array to output array."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A format that networks are exported to, together with the runtime that runs it.

    Attributes:
        name: Name in options, `model.toml` and `card.json`: lower-case letters, digits and hyphens.
        label: Name of the runtime in tables and charts.
        summary: Purpose of the target, in a few words.
        suffixes: Suffixes of an artefact's files, which are named `model`; the runtime opens the first one.
        write: Writes the files into an existing folder and returns their paths, first the one that the runtime opens.
            Its exceptions are reported as K461.
        open: Opens a file for a number of threads per call (None: the runtime's default). Its exceptions, and those
            of the engine that it returns, are reported as K463.
        open_for_threads: Opens a file for so many threads of the caller, which call the engine at the same time and
            compute with one thread each; None: engines of this runtime are not called by several threads.
        embed: Writes properties (names and texts) into the file that the runtime opens; None: it has no room for them.
        embedded: Reads these properties back, without running or trusting the file; raises whatever a file that is not
            of this format makes it raise.
        check: Refuses a file that reaches outside its folder before the runtime opens it; receives the file and the
            names of all files of the artefact, and returns what is wrong, or an empty text.
        folder: Whether the artefact's only file is a folder, which systems that use it show as one file.
        not_here: Why this machine cannot run artefacts of this format whatever is installed, as a clause; returns an
            empty text where it can. They are exported all the same, but not verified. None: every machine can.
        runs_code: Why opening a file of this format can run code of whoever made it; empty if it cannot.
        packages: Modules that must be importable for writing and running.
        install: Requirement for `pip install` that brings these packages.
        byte_arrays: Whether input and output can be arrays of bytes: images as they are decoded, class ids.
        any_size: Whether one artefact can take any number of images of any size.
        schemes: Schemes of quantization-aware training whose networks the target supports; None: all.
        trained_int8: Whether the target computes networks from quantization-aware training in int8.
        quantizer: Location of the `Quantizer` for post-training quantization, as `package.module:NAME`; empty if
            there is none.
        marker: Matplotlib marker of this runtime in charts.
    """

    name: str
    label: str
    summary: str
    suffixes: tuple[str, ...]
    write: Callable[[ExportedNetwork, Path], list[Path]]
    open: Callable[[Path, int | None], Engine]
    open_for_threads: Callable[[Path, int], Engine] | None = None
    embed: Callable[[Path, dict[str, str]], None] | None = None
    embedded: Callable[[Path], dict[str, str]] | None = None
    check: Callable[[Path, Collection[str]], str] | None = None
    folder: bool = False
    not_here: Callable[[], str] | None = None
    runs_code: str = ""
    packages: tuple[str, ...] = ()
    install: str = "pixelwise"
    byte_arrays: bool = True
    any_size: bool = True
    schemes: tuple[str, ...] | None = None
    trained_int8: bool = False
    quantizer: str = ""
    marker: str = "X"

    def refusal(self) -> str:
        """Why this machine cannot run artefacts of this format, as a clause; empty if it can."""
        return self.not_here() if self.not_here is not None else ""


EAGER_NAMES = ("torch", "torch-channels-last", "torch-bf16")
"""Names of the runtimes that run a network without exporting it, which no target can have."""
TARGETS: Registry[Target] = Registry("export target", RecipeError, "R250", built_in=("pixelwise.runtimes.formats",))


def register_target(target: Target) -> Target:
    """Register an export target; to be called at the top level of the module that defines it.

    Raises:
        ValueError: The name has other characters than lower-case letters, digits and hyphens.
        RecipeError: R234, another target or PyTorch itself has that name.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", target.name):
        raise ValueError(f"export target '{target.name}': expected lower-case letters, digits and hyphens")
    if target.name in EAGER_NAMES:
        raise RecipeError(TAKEN, f"'{target.name}' is PyTorch itself, not an export target", "choose another name")
    return TARGETS.add(target.name, target)


def find_target(name: str) -> Target:
    """The export target with a name.

    Raises:
        RecipeError: R250, neither Pixelwise nor an installed package has such a target.
    """
    return TARGETS.find(name)


def package_of(target: Target) -> str | None:
    """Name and version of the installed package that adds a target; None for a built-in one."""
    return next((f"{name} {version}" for name, version in TARGETS.packages_of(target.name)), None)


def list_targets() -> list[Target]:
    """All targets, including those of installed packages, sorted by name."""
    return [target for _, target in sorted(TARGETS.all().items())]


def target_names() -> list[str]:
    """Names of all targets, sorted."""
    return [target.name for target in list_targets()]


def quantizable_names() -> list[str]:
    """Names of the targets with post-training quantization, sorted."""
    return [target.name for target in list_targets() if target.quantizer]
