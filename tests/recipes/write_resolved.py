"""Write `resolved.toml`: what every recipe says, and all defaults, so that a change to one shows in review.

A recipe in full is its own fields over the defaults; its hash must stay what it was, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.overrides import toml_value
from pixelwise.recipes.schema.model import SPECS
from pixelwise.recipes.schema.recipe import Recipe, changed_values, without_unset
from pixelwise.recipes.schema.roles import bare

RESOLVED = Path(__file__).with_name("resolved.toml")


def resolved() -> dict[str, Any]:
    """What the file holds."""
    sections = {
        field.name: defaults(bare(field.type))
        for field in msgspec.structs.fields(Recipe)
        if isinstance(bare(field.type), type) and field.name != "model"
    }
    return {
        "defaults": {
            **{name: values for name, values in sections.items() if values},
            "model": {family: defaults(spec) for family, spec in sorted(SPECS.own().items())},
        },
        "recipes": {
            name: {"hash": recipe(name).hash(), **without_unset(changed_values(recipe(name)))}
            for name in list_recipes()
        },
    }


def defaults(kind: type) -> dict[str, Any]:
    """The fields of a section that have a default other than None; nothing for a field that is no section."""
    if not issubclass(kind, msgspec.Struct):
        return {}
    values = {field.name: field.default for field in msgspec.structs.fields(kind) if not field.required}
    return without_unset(msgspec.to_builtins(values))


def lines(plain: dict[str, Any], path: str = "") -> list[str]:
    """One line per value, `optimizer.lr = 0.02`."""
    found = []
    for key, value in plain.items():
        if isinstance(value, dict) and value:
            found += lines(value, f"{path}{key}.")
        else:
            found.append(f"{path}{key} = {toml_value(value)}")
    return found


def text() -> str:
    """The file."""
    content = resolved()
    tables = {
        **{f"defaults.{name}": values for name, values in content["defaults"].items()},
        **{f'recipes."{name}"': values for name, values in content["recipes"].items()},
    }
    return "\n\n".join("\n".join([f"[{name}]", *lines(values)]) for name, values in tables.items()) + "\n"


if __name__ == "__main__":
    RESOLVED.write_text(text(), "utf-8")
