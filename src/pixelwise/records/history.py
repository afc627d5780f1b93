"""`history.json`: the parts of a run that were trained under another recipe than its present one.

A run that is resumed with another schedule becomes neither the run of the old recipe nor that of the new one, so its
hash is made of the whole history. Most runs have no history and no such file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.recipes.overrides import toml_value as _value
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.json_files import read_json
from pixelwise.storage import json_text, write_text

HISTORY = "history.json"
LENGTHS = ("schedule.epochs", "schedule.iterations")
"""Fields of which one unsets the other, so that no override has to."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A field that was changed when the run was resumed.

    Attributes:
        field: Path of the field, such as `schedule.epochs`.
        before: Its value until then; None if it was unset.
        after: Its value from then on.
    """

    field: str
    before: Any = None
    after: Any = None


class PastPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a run that was trained under another recipe.

    Attributes:
        until: Number of steps of the run at the end of the part.
        recipe_hash: SHA-256 of the part's recipe.
        recipe: The part's recipe as plain data; empty for a stage, whose own folder holds it.
        changes: The fields that changed at the end of the part.
        lr: Base learning rate of the last step before the change and of the first one after it; None if there is no
            step after it, and for stages.
        stage: Name of the stage, if the part is one that was trained under another recipe than the run's gives it.
    """

    until: int = 0
    recipe_hash: str = ""
    recipe: dict[str, Any] = {}
    changes: tuple[Change, ...] = ()
    lr: tuple[float, float] | None = None
    stage: str = ""

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides with which the run was resumed at the end of the part, such as `schedule.epochs=8`."""
        changed = [one for one in self.changes if one.after is not None or one.field not in LENGTHS]
        return tuple(f"{one.field}={_value(one.after)}" for one in changed)

    @property
    def in_words(self) -> str:
        """`resumed at step 40 with schedule.epochs=8 (was 4): the learning rate goes from 1e-05 to 0.0005`."""
        if self.stage:
            past = ", ".join(f"{one.field}={_value(one.before)}, not {_value(one.after)}" for one in self.changes)
            return f"stage '{self.stage}' was trained with {past}"
        changes = " ".join(f"{one.field}={_value(one.after)} (was {_value(one.before)})" for one in self.changes)
        rates = "" if self.lr is None else f": the learning rate goes from {self.lr[0]:.3g} to {self.lr[1]:.3g}"
        return f"resumed at step {self.until} with {changes}{rates}"


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The past of a run.

    Attributes:
        parts: Its stages and then its own parts that were trained under another recipe, in order.
    """

    parts: tuple[PastPart, ...] = ()


def read_history(run: Path) -> History:
    """The history of a run; empty if the whole run was trained under its recipe.

    Raises:
        CheckpointError: K423, the file is damaged.
    """
    return read_json(run / HISTORY, History)


def write_history(run: Path, history: History) -> None:
    """Write the history of a run; an empty one removes the file.

    Raises:
        ResourceError: S601, the disk is full.
    """
    if history.parts:
        write_text(run / HISTORY, json_text(history))
    else:
        (run / HISTORY).unlink(missing_ok=True)


def experiment_hash(recipe: Recipe, history: History) -> str:
    """Hash of what was trained: that of the recipe, if the whole run was trained under it.

    Returns:
        Hexadecimal SHA-256. Two runs with equal hashes were trained under the same recipes for the same steps.
    """
    own = recipe.hash()
    parts = list(history.parts)
    # The history is written before the recipe, so a run may have been stopped between the two.
    while parts and not parts[-1].stage and parts[-1].recipe_hash == own:
        parts.pop()
    if not parts:
        return own
    past = [(part.stage, part.until, part.recipe_hash) for part in parts]
    return hashlib.sha256(msgspec.json.encode([past, own])).hexdigest()


def run_hash(run: Path, recipe: Recipe) -> str:
    """`experiment_hash` of a run folder and its recipe.

    Raises:
        CheckpointError: K423, the history is damaged.
    """
    return experiment_hash(recipe, read_history(run))
