"""Help from editors for recipe files: the JSON Schema as a file, and the line of a recipe that names it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.json_schema import recipe_schema
from pixelwise.storage import json_text
from pixelwise.storage.atomic import write_text
from pixelwise.storage.documents import LARGEST_SETTINGS, DocumentError, parse_toml, read_text

NAME = "recipe.schema.json"
"""Name of the schema beside a recipe file."""
_LINE = re.compile(r"\A#:schema [^\r\n]*(\r\n|\n|\r|\Z)")


class EditorHelp(msgspec.Struct, frozen=True, kw_only=True):
    """The schema of recipe files and where it was written to.

    Attributes:
        schema: The JSON Schema (draft 7).
        output: File with the schema; None if it was not written.
        recipes: Recipe files that name it in their first line.
    """

    schema: dict[str, Any]
    output: Path | None
    recipes: tuple[Path, ...]


def schema(recipes: Sequence[str | os.PathLike[str]] = (), output: str | os.PathLike[str] | None = None) -> EditorHelp:
    """The JSON Schema of recipe files, with which editors complete, explain and check fields while they are typed.

    Given recipe files, the schema is written beside the first of them, and each gets a first line such as
    `#:schema ./recipe.schema.json`, which editors of TOML understand. It is a comment: the recipe and its hash stay.

    Args:
        recipes: Recipe files that get the line; an older line is replaced.
        output: File to write the schema to; None writes none unless there are recipe files.

    Raises:
        RecipeError: R205, a recipe file cannot be read or is not TOML; nothing has been written then.
    """
    files = tuple(map(Path, recipes))
    texts = [_text(file) for file in files]
    target = Path(output) if output is not None else files[0].parent / NAME if files else None
    made = recipe_schema()
    if target is not None:
        write_text(target, json_text(made))
        for file, text in zip(files, texts, strict=True):
            write_text(file, _with_line(text, _address(target, file)))
    return EditorHelp(schema=made, output=target, recipes=files)


def _text(file: Path) -> str:
    try:
        text = read_text(file, LARGEST_SETTINGS)
        parse_toml(text, file)
    except DocumentError as error:
        help = "check the path" if error.missing else "give a recipe file, valid TOML in UTF-8"
        raise RecipeError("R205", error.message, help) from error
    return text


def _address(schema_file: Path, recipe_file: Path) -> str:
    """The address of the schema, relative to the recipe where that is possible."""
    target = schema_file.resolve()
    try:
        found = os.path.relpath(target, recipe_file.resolve().parent).replace(os.sep, "/")
    except ValueError:  # another drive
        return target.as_uri()
    return found if found.startswith(".") else f"./{found}"


def _with_line(text: str, address: str) -> str:
    """The text with a first line that names the schema, and otherwise as it is."""
    old = _LINE.match(text)
    end = old[1] if old is not None and old[1] else "\r\n" if "\r\n" in text else "\n"
    return f"#:schema {address}{end}{text[old.end() :] if old is not None else text}"
