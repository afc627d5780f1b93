"""The words after a verb: which of them are settings, which a recipe, a run, images or the data folder.

One rule for all verbs: a word such as `schedule.epochs=3` or `lr=0.01` is a setting, unless there is a file of that
name; every other word is a name. What the names mean is decided by their number and by what exists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.errors import RecipeError
from pixelwise.recipes.asking import DEFAULT_RECIPE, Named, recipe_and_data
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.fields import paths
from pixelwise.recipes.files import SUFFIX
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import place_of

IMAGE_WORDS = (
    "Images, folders or patterns such as 'photos/*.jpg'; also settings for reading images that differ from those of "
    "the training, such as input_range=[0,65535]."
)
"""Help of the words of verbs that predict."""
_PATH = re.compile(r"\s*[A-Za-z_][\w-]*(\.[\w-]+)*\s*")
"""The path of a field, as it stands before the equals sign."""


class Sorted(NamedTuple):
    """The words of a command line.

    Attributes:
        names: Words that name something: a recipe, a folder, an image.
        settings: Words that change a setting.
    """

    names: tuple[str, ...]
    settings: tuple[str, ...]


class Training(NamedTuple):
    """What to train, on what, and with which settings."""

    recipe: Named
    data: Path | None
    settings: tuple[str, ...]


class Placed(NamedTuple):
    """The data folder, if one is given, and the settings."""

    data: Path | None
    settings: tuple[str, ...]


def sort_words(words: Sequence[str] | None) -> Sorted:
    """Tell settings from names.

    Raises:
        RecipeError: R201, a word is the name of a field without a value.
    """
    names, settings = [], []
    for word in words or ():
        (settings if is_setting(word) else names).append(word)
    for name in names:
        if not os.path.lexists(name) and not _is_recipe(name) and _is_field(name):
            raise RecipeError(
                "R201",
                f"'{name}' is a field without a value, and no file or folder has this name",
                f"write {name}=VALUE; `pixelwise explain {name}` says what it means",
            )
    return Sorted(tuple(names), tuple(settings))


def _is_field(name: str) -> bool:
    """Whether a name is the path of a field, or the end of one; `data` is a section and a likely folder."""
    return any(path == name or path.endswith(f".{name}") for path in paths())


def is_setting(word: str) -> bool:
    """Whether a word is a setting, such as `lr=0.01`: a path of names, an equals sign, and no file of that name."""
    path, equals, _ = word.partition("=")
    return bool(equals) and _PATH.fullmatch(path) is not None and not os.path.lexists(word)


def training(words: Sequence[str] | None, recipe: str | None = None, data: Path | None = None) -> Training:
    """What `train` is asked for: `photos`, `RECIPE photos`, `RECIPE --data photos` or `photos --recipe RECIPE`.

    Args:
        words: The words after the verb.
        recipe: Value of --recipe; None if it is not given.
        data: Value of --data; None if it is not given.

    Raises:
        RecipeError: R200, a name is neither a recipe nor a folder; R201, a setting has no value; R228, a recipe or a
            data folder is missing or given twice.
        DataError: D222, a path does not exist.
    """
    names, settings = sort_words(words)
    if len(names) == 2 and _is_recipe(names[1]) and not _is_recipe(names[0]):
        names = names[::-1]
    given = [*([recipe] if recipe is not None else []), *names, *([os.fspath(data)] if data is not None else [])]
    if len(given) > 2:
        raise RecipeError(
            "R228",
            f"{len(given)} names are given: {', '.join(map(printable, map(Path, given)))}; expected a recipe and a "
            "data folder, or one of them",
            "settings are written as FIELD=VALUE; quote a name that holds spaces",
        )
    if not given:
        raise RecipeError(
            "R228",
            "nothing is given to train on",
            "name the folder with your images and masks: `pixelwise train photos`; to see it work without any, "
            "`pixelwise train town-demo`",
        )
    if len(given) == 2:
        return Training(*recipe_and_data(given[0], given[1]), settings)
    if recipe is not None or data is not None:
        return Training(DEFAULT_RECIPE if recipe is None else recipe, data, settings)
    return Training(*recipe_and_data(given[0]), settings)


def with_data(words: Sequence[str] | None, data: str | os.PathLike[str] | None = None) -> Placed:
    """The data folder among the words of a verb that has one: `evaluate RUN photos` or `evaluate RUN --data photos`.

    Args:
        words: The words after the run or recipe.
        data: Value of --data; None if it is not given.

    Raises:
        RecipeError: R201, a setting has no value; R228, several data folders are given.
    """
    names, settings = sort_words(words)
    given = [*names, *([os.fspath(data)] if data is not None else [])]
    if len(given) > 1:
        raise RecipeError(
            "R228",
            f"several data folders are given: {', '.join(map(printable, map(Path, given)))}; expected one",
            "settings are written as FIELD=VALUE; quote a name that holds spaces",
        )
    return Placed(place_of(given[0]) if given else None, settings)


def images(words: Sequence[str]) -> Sorted:
    """The images among the words of `predict`, whose names may hold equals signs, and the settings.

    Only words that begin with a section of a recipe, or with a field of its section `data`, are settings here.

    Args:
        words: The words after the run.
    """
    settings = tuple(word for word in words if is_setting(word) and _concerns_data(word))
    return Sorted(tuple(word for word in words if word not in settings), settings)


def _concerns_data(word: str) -> bool:
    """Whether a setting has the path of a section, or names a field of `data`: `photo=1.jpg` does not."""
    path = word.partition("=")[0].strip()
    head, dot, _ = path.partition(".")
    return head in Recipe.__struct_fields__ if dot else f"data.{path}" in paths()


def _is_recipe(name: str) -> bool:
    """Whether a name is that of a recipe or a recipe file, and not of a folder."""
    return (name.endswith(SUFFIX) or name in list_recipes()) and not os.path.isdir(name)
