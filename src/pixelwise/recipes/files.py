"""Reading recipe files, and finding a recipe by its name or its file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import Overrides, apply_overrides, without_other_length
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.planning import still_planned
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.storage import printable
from pixelwise.storage.documents import DocumentError, read_toml

SUFFIX = ".toml"


def find(name: str | os.PathLike[str], overrides: Overrides = ()) -> Recipe:
    """The recipe of this name, or the one in a TOML file if `name` ends in `.toml`.

    Args:
        name: Name of a recipe, or path of a recipe file.
        overrides: Changes of the form `section.field=value`, or values by the paths of their fields.

    Raises:
        RecipeError: R200, there is no such recipe (with similar names); R202, R203 or R205, the file is not a valid
            recipe; also the errors of `apply_overrides`.
    """
    text = os.fspath(name)
    found = load_toml(Path(text)) if text.endswith(SUFFIX) else recipe(text)
    return apply_overrides(found, overrides) if overrides else found


def load_toml(path: Path) -> Recipe:
    """Read a recipe file: `base = "name"` plus changes, or a complete recipe.

    Raises:
        RecipeError: R205, the file cannot be read, is not TOML, or has a `base` that leads back to the file; also the
            errors of `from_plain`.
    """
    return _load_toml(path, ())


def _load_toml(path: Path, above: tuple[Path, ...]) -> Recipe:
    """Like `load_toml`; `above` are the files whose `base` led to this one."""
    chain = (*above, path)
    if path.resolve() in [file.resolve() for file in above]:
        files = " -> ".join(map(printable, chain))
        raise RecipeError(
            "R205",
            f"`base` is circular: {files}; expected a chain that ends at a recipe without a base",
            "name a built-in recipe as base; `pixelwise recipes` lists them",
        )
    try:
        plain = read_toml(path)
    except DocumentError as error:
        cause = error.__cause__
        if error.missing:
            help = "check the path; `pixelwise show NAME` prints a built-in recipe in this format"
        elif cause is None or isinstance(cause, OSError):
            help = "check that it is a recipe file with read permission"
        else:
            help = "save the recipe file as valid TOML in UTF-8"
        raise RecipeError("R205", error.message, help) from error
    base = plain.pop("base", None)
    if base is None:
        return from_plain(plain, printable(path))
    name = str(base)
    merged = to_plain(_load_toml(Path(name), chain) if name.endswith(SUFFIX) else recipe(name))
    # A derived recipe does not claim its base's published number.
    merged.pop("published", None)
    merged["name"] = path.stem
    merged["planned"] = still_planned(merged["planned"], _fields(plain))
    return from_plain(_merge(merged, plain), printable(path))


def _fields(plain: dict[str, Any]) -> Iterator[str]:
    """Paths of what a file sets: the fields of a section, and not the section as a whole."""
    for key, value in plain.items():
        yield from (f"{key}.{field}" for field in value) if isinstance(value, dict) else (key,)


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        if (
            key == "model"
            and isinstance(value, dict)
            and value.get("family", None)
            not in (
                None,
                merged.get("model", {}).get("family"),
            )
        ):
            merged[key] = value  # another family has other fields
        elif key == "schedule" and isinstance(value, dict):
            merged[key] = _merge(without_other_length(merged[key], value), value)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged
