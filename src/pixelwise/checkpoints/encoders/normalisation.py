"""The normalisation that weights were trained with, and whether a recipe follows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pixelwise.checkpoints.encoders.paths import weights_path
from pixelwise.checkpoints.encoders.runs import is_run_with_weights
from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.observer import Warn
from pixelwise.recipes.schema.model import IMAGENET, Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import read_recipe
from pixelwise.storage import printable
from pixelwise.storage.documents import DocumentError, read_json

DESCRIPTIONS = ("config.json", "preprocessor_config.json")
"""Files beside weights in folders of the Hugging Face libraries; timm's description is in the first, in parts."""
_PREFIX = re.compile(r"^[\w-]+/")


class Normalisation(NamedTuple):
    """A normalisation and where it comes from.

    Attributes:
        preprocessing: Mean and deviation.
        source: Its origin, continuing "the normalisation of ...".
    """

    preprocessing: Preprocessing
    source: str


def following_weights(recipe: Recipe, *, given: bool, say: Callable[[str], None], warn: Warn) -> Recipe:
    """The recipe with the normalisation of the weights that it begins with.

    The recipe's own is kept if it was given on purpose, if it is part of a published recipe, or if the recipe's family
    has one of its own; that is said, because weights are worth less with another normalisation.

    Args:
        recipe: The recipe of a run that begins.
        given: Whether `model.preprocessing` was given for this run.
        say: Receives what was decided.
        warn: Receives a W482 if the normalisation was changed, a W483 if that of the recipe was kept.
    """
    theirs = normalisation_of_weights(recipe)
    mine = recipe.model.preprocessing
    if theirs is None or _equal(theirs.preprocessing, mine) or theirs.preprocessing.in_channels != mine.in_channels:
        return recipe
    numbers, own = _numbers(theirs.preprocessing), _numbers(mine)
    if not given and recipe.published is None and _equal(mine, IMAGENET):
        warn(
            "W482",
            f"model.preprocessing follows the weights: {numbers}, the normalisation of {theirs.source}, instead of "
            f"{own}",
        )
        model = msgspec.structs.replace(recipe.model, preprocessing=theirs.preprocessing)
        return msgspec.structs.replace(recipe, model=model)
    if recipe.published is not None and not given:
        say(f"keeping the published normalisation, {own}; the initial weights had {numbers}")
        return recipe
    warn(
        "W483",
        f"model.preprocessing is {own}, but the initial weights were trained with {numbers}, the normalisation of "
        f"{theirs.source}; the recipe's is kept",
    )
    return recipe


def normalisation_of_weights(recipe: Recipe) -> Normalisation | None:
    """The normalisation of the weights that a recipe begins with; None if there are none, or it is not known."""
    start = recipe.initialize
    if start.run is not None:
        return Normalisation(read_recipe(run_path(start.run)).model.preprocessing, f"the run {printable(start.run)}")
    encoder = getattr(recipe.model, "encoder", None)
    if start.encoder == "none" or not isinstance(encoder, str) or recipe.data.bands != 3:
        return None
    return normalisation_of_encoder(start.encoder, encoder)


def normalisation_of_encoder(weights: str, encoder: str) -> Normalisation | None:
    """The normalisation of weights that are named as in `initialize.encoder`; None if it is not known.

    Args:
        weights: Name or path of the weights, or `default`.
        encoder: Name of the encoder that they are for.
    """
    path = weights_path(weights)
    if path is not None:
        return _of_folder(path) or _of_timm(encoder)
    if "/" in weights:  # on the hub, encoders of the MiT family are read, which were all trained with these
        return Normalisation(IMAGENET, weights)
    return _of_timm(encoder if weights == "default" else weights)


def _of_folder(path: Path) -> Normalisation | None:
    """What a run, or the description beside a weights file, says."""
    folder = path if path.is_dir() else path.parent
    if is_run_with_weights(folder):
        return Normalisation(read_recipe(folder).model.preprocessing, f"the run {printable(folder)}")
    for name in DESCRIPTIONS:
        try:
            described = read_json(folder / name, dict[str, Any])
        except DocumentError:
            continue
        inner = described.get("pretrained_cfg")
        part = inner if isinstance(inner, dict) else described
        found = _preprocessing(part.get("mean", part.get("image_mean")), part.get("std", part.get("image_std")))
        if found is not None:
            return Normalisation(found, f"{printable(folder / name)}")
    return None


def _of_timm(name: str) -> Normalisation | None:
    """What timm says about weights or about an encoder of ours on one of its networks."""
    import timm

    plain = _PREFIX.sub("", name)
    if not timm.is_model(plain.partition(".")[0]):
        return None
    cfg = timm.get_pretrained_cfg(plain)
    found = _preprocessing(cfg.mean, cfg.std) if cfg is not None else None
    return None if found is None else Normalisation(found, f"timm's {plain}")


def _preprocessing(mean: Any, std: Any) -> Preprocessing | None:
    pair = [mean, std]
    if not all(isinstance(values, list | tuple) and len(values) == 3 for values in pair):
        return None
    numbers = [tuple(float(value) for value in values) for values in pair if all(map(_is_number, values))]
    if len(numbers) != 2 or not all(value > 0 for value in numbers[1]):
        return None
    return Preprocessing(mean=numbers[0], std=numbers[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(one: Preprocessing, other: Preprocessing) -> bool:
    pairs = zip((*one.mean, *one.std), (*other.mean, *other.std), strict=False)
    return one.in_channels == other.in_channels and all(abs(mine - theirs) < 1e-4 for mine, theirs in pairs)


def _numbers(used: Preprocessing) -> str:
    mean, std = ([f"{value:.4g}" for value in values] for values in (used.mean, used.std))
    return f"mean [{', '.join(mean)}], std [{', '.join(std)}]"
