"""`seeds.json`: what the runs in a folder are runs of, so that those that are missing can be trained.

```
OUT/seeds.json       recipe, seeds, data and options; written first
OUT/seed-0/ ...      ordinary runs
OUT/summary.json     their scores together: means, deviations, intervals
OUT/report.html      the same as a page
```
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.json_files import read_json
from pixelwise.records.run_folder import SEEDS, is_run
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import parse_toml

SUMMARY = "summary.json"


class SeedsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `seeds.json`.

    Attributes:
        seeds: The seeds, in the order in which they are trained.
        recipe: The recipe as TOML, before its overrides.
        overrides: Changes to the recipe.
        data: Folder or address of the data set; None for synthetic data.
        options: The other options of the training by name.
    """

    seeds: tuple[int, ...] = ()
    recipe: str = ""
    overrides: tuple[str, ...] = ()
    data: str | None = None
    options: dict[str, Any] = {}

    def resolved(self, source: Path) -> Recipe:
        """The recipe, before its overrides.

        Args:
            source: The folder, for messages.

        Raises:
            RecipeError: R202, R203 and others, the recipe is not valid in this version.
        """
        return from_plain(parse_toml(self.recipe, source / SEEDS), printable(source / SEEDS))


def record(
    recipe: Recipe, seeds: tuple[int, ...], overrides: list[str], data: str | None, options: dict[str, Any]
) -> SeedsRecord:
    """What `seeds.json` says of runs that are about to be trained."""
    return SeedsRecord(seeds=seeds, recipe=to_toml(recipe), overrides=tuple(overrides), data=data, options=options)


def write_seeds(folder: Path, content: SeedsRecord) -> None:
    """Write `seeds.json`.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(folder / SEEDS, json_text(content))


def read_seeds(folder: Path) -> SeedsRecord:
    """The content of `seeds.json`.

    Raises:
        CheckpointError: K423, it is damaged.
    """
    return read_json(folder / SEEDS, SeedsRecord)


def is_seeds(folder: Path) -> bool:
    """Whether a folder holds the runs of several seeds."""
    return (folder / SEEDS).is_file()


def run_of(folder: Path, seed: int) -> Path:
    """The folder of the run with a seed."""
    return folder / f"seed-{seed}"


def runs_within(folder: Path) -> tuple[Path, ...]:
    """The runs in a folder of several seeds that have begun, in the order of their training; empty for other folders.

    Raises:
        CheckpointError: K423, `seeds.json` is damaged.
    """
    if not is_seeds(folder):
        return ()
    return tuple(run for seed in read_seeds(folder).seeds if is_run(run := run_of(folder, seed)))


def require_runs(folder: Path) -> tuple[Path, ...]:
    """The runs in a folder of several seeds that have begun; empty for other folders.

    Raises:
        CheckpointError: K421, none has; K423, `seeds.json` is damaged.
    """
    runs = runs_within(folder)
    if not runs and is_seeds(folder):
        raise CheckpointError(
            "K421", f"{printable(folder)}: no run has begun yet", f"`pixelwise resume {shlex.quote(printable(folder))}`"
        )
    return runs
