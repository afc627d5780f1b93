"""What to train, and on what: the first argument of `train` is a recipe, a recipe file, or a data folder."""

from __future__ import annotations

import os
from pathlib import Path

from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.files import SUFFIX
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import address_of, place_of
from pixelwise.storage.stores.containers import names_containers
from pixelwise.suggestions import did_you_mean

DEFAULT_RECIPE = "unet"
"""Name of the recipe that trains on a folder that is given without one."""

Named = str | os.PathLike[str] | Recipe
"""A recipe, its name, or the path of a recipe file."""


def recipe_and_data(first: Named, data: str | os.PathLike[str] | None = None) -> tuple[Named, Path | None]:
    """The recipe and the data folder that `train(first, data)` means.

    A name of a recipe is a recipe, what ends in `.toml` is a recipe file, and a folder is data for the recipe
    `DEFAULT_RECIPE`. No file is read, and whether `data` exists is left to whoever opens it.

    Args:
        first: A recipe, its name, a recipe file, or a data folder.
        data: The data folder, where `first` is the recipe; None if it is not given.

    Returns:
        The recipe as it was given, or `DEFAULT_RECIPE`; the data folder, or None for a recipe without one.

    Raises:
        RecipeError: R200, `first` is neither a recipe nor a folder (with similar names); R228, it is both, or two data
            folders are given.
        DataError: D222, `first` is a path, but nothing is there.
    """
    folder = None if data is None else place_of(data)
    if isinstance(first, Recipe):
        return first, folder
    text = os.fspath(first)
    if text.endswith(SUFFIX) and not os.path.isdir(text):
        return first, folder
    if text in list_recipes():
        if folder is None and os.path.isdir(text):
            raise RecipeError(
                "R228",
                f"'{printable(text)}' is the name of a recipe and of a folder here",
                f"write ./{printable(text)} for the folder, or name the data folder as well",
            )
        return first, folder
    address = address_of(text)
    if os.path.isdir(text) or address is not None or names_containers(Path(text)):
        if folder is not None:
            raise RecipeError(
                "R228",
                f"two data folders are given, {printable(text)} and {printable(folder)}",
                f"name one; the recipe is then '{DEFAULT_RECIPE}', or the one that you name in the place of the first",
            )
        return DEFAULT_RECIPE, place_of(text)
    if os.path.lexists(text) or _is_path(text):
        state = "is not a folder" if os.path.lexists(text) else "does not exist"
        raise DataError("D222", f"{printable(text)}: {state}", "give the folder that holds images and masks")
    if folder is None:
        raise _unknown(text)
    recipe(text)  # refuses the name
    return first, folder


def _unknown(text: str) -> RecipeError:
    """The error for a word that is neither a recipe nor a folder, with similar names of both."""
    folders = sorted(entry.name for entry in os.scandir() if entry.is_dir() and not entry.name.startswith("."))
    return RecipeError(
        "R200",
        f"no recipe and no folder here is named '{printable(text)}'{did_you_mean(text, [*folders, *list_recipes()])}",
        "give the folder that holds images and masks, or the name of a recipe: `pixelwise recipes` lists them, and the "
        "name of a recipe file has to end in .toml",
    )


def _is_path(text: str) -> bool:
    """Whether nobody would mean the name of a recipe: it has a separator, or begins like a path."""
    return text.startswith((".", "~")) or any(separator in text for separator in {os.sep, "/"})
