"""What an evaluation is asked for: data, split, protocols and changes to how the data is read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.samples import ALL, Dataset
from pixelwise.errors import RecipeError
from pixelwise.observer import Warn
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides, words_of
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable

SECTIONS = ("data", "evaluation")
"""Sections of a recipe that an evaluation can change; all others belong to the training."""


class Scored(NamedTuple):
    """The data set and the split to score, and what has to be known about them, as sentences."""

    dataset: Dataset
    split: str
    notes: tuple[str, ...]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of an evaluation.

    Attributes:
        data: Folder of the data set; None for the data of the run.
        split: Name of the split; None for the usual one.
        protocols: Names of protocols; None for the usual one.
        overrides: Changes to the sections `data` and `evaluation` of the recipe.

    Raises:
        RecipeError: R203, an override is of another section; R202 or R262, it names no field or several.
    """

    data: Path | None = None
    split: str | None = None
    protocols: list[str] | None = None
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "overrides", tuple(words_of(self.overrides)))
        for override in self.overrides:
            section = override.partition("=")[0].partition(".")[0].strip()
            if "=" in override and section not in SECTIONS:
                raise RecipeError(
                    "R203",
                    f"'{override}' changes the training, which is over; an evaluation can change "
                    f"{' and '.join(f'{name}.*' for name in SECTIONS)}",
                    "leave it out, or train again with it",
                )

    def changed(self, recipe: Recipe) -> Recipe:
        """The recipe with the overrides.

        Raises:
            RecipeError: R201 to R203, an override is malformed, names no field or has an impossible value.
        """
        return apply_overrides(recipe, self.overrides) if self.overrides else recipe

    def allowed(self) -> tuple[str, ...]:
        """Codes of errors of other data that are accepted: what was accepted for the training says nothing of it.

        Raises:
            RecipeError: As `changed`.
        """
        return tuple(self.changed(find(DEFAULT_RECIPE)).data.allow)

    def scored(self, dataset: Dataset, usual: str, own: bool | None, warn: Warn) -> Scored:
        """The data set and the split to score, with what has to be said about them.

        Data without splits was divided into `train` and `val` by name when it was opened. That division means something
        for the data that the network was trained on alone: other data is scored as a whole.

        Args:
            dataset: The opened data set.
            usual: Split that is scored unless one is named.
            own: Whether the network was trained on this data; None if that is not known.
            warn: Receives the warning W413 if a named split is only a division by name.
        """
        whole = dataset.divided and not own
        split = self.split or (ALL if whole else usual)
        notes: tuple[str, ...] = ()
        if split == ALL and ALL not in dataset.splits:
            number, dataset = len(dataset.splits), dataset.with_all()
            images = len(dataset.splits.get(ALL, ()))
            parts = "the data has no splits" if dataset.divided or number == 1 else f"{number} splits together"
            unknown = ", and the network may have been trained on some of them" if own is None else ""
            notes = (f"All {images} images are scored: {parts}{unknown}.",)
            if own and dataset.divided:
                notes = (f"All {images} images are scored, also those that the network was trained on.",)
        elif dataset.divided and split in dataset.splits:
            what = f"{printable(dataset.root)} has no splits of its own: {split} is " + (
                "the part that this run left out of training, chosen by the names of the images"
                if own and split == "val"
                else f"{len(dataset.splits[split])} of "
                f"{sum(map(len, dataset.splits.values()))} images, chosen by their names; `all` scores all of them"
            )
            notes = (f"{what}.",)
            if not own:
                warn("W413", what)
        if dataset.multilabel and dataset.reading.mask_resize != "refuse":
            notes = (*notes, "Masks of another size than their image are resized to it (data.mask_resize=nearest).")
        return Scored(dataset, split, notes)
