"""Recipe files, and the one place that takes a recipe's name or its file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides, without_other_length
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.recipe import Recipe, to_plain

SUFFIX = ".toml"


def find(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of that name, or the one in a TOML file when `name` ends in `.toml`.

    Args:
        name: The name, or the path of the file.
        overrides: `section.field=value` changes.

    Raises:
        RecipeError: R200 no such recipe (with the nearest names); R205, R202, R203 for files; as `apply_overrides`.
    """
    found = load_toml(Path(name)) if name.endswith(SUFFIX) else recipe(name)
    return apply_overrides(found, overrides) if overrides else found


def load_toml(path: Path) -> Recipe:
    """Read a recipe file: `base = "name"` plus changes, or a complete recipe.

    Raises:
        RecipeError: R205 unreadable, not TOML, or a `base` that leads back to the file; otherwise
            as `from_plain`.
    """
    return _load_toml(path, ())


def _load_toml(path: Path, above: tuple[Path, ...]) -> Recipe:
    """As `load_toml`; `above` are the files whose `base` led here."""
    chain = (*above, path)
    if path.resolve() in [file.resolve() for file in above]:
        raise RecipeError(
            "R205",
            f"`base` leads in a circle: {' -> '.join(str(file) for file in chain)}; expected it to end at a recipe "
            "without a base",
            "name a built-in recipe as base; `pixelwise recipes` lists them",
        )
    try:
        plain = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise RecipeError(
            "R205",
            f"{path}: there is no such file",
            "check the path; `pixelwise show NAME` prints a built-in recipe as such a file",
        ) from None
    except OSError as error:
        raise RecipeError(
            "R205", f"{path}: cannot be read: {error.strerror or error}", "check its permissions, and that it is a file"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError("R205", f"{path}: {error}", "a recipe file is TOML text in UTF-8") from error
    base = plain.pop("base", None)
    if base is None:
        return from_plain(plain, str(path))
    name = str(base)
    merged = to_plain(_load_toml(Path(name), chain) if name.endswith(SUFFIX) else recipe(name))
    # A derived recipe does not claim its base's published number.
    merged.pop("published", None)
    merged["name"] = path.stem
    return from_plain(_merge(merged, plain), str(path))


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
