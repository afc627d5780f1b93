"""The reference of recipes as Markdown: every field with its values, unit, range, default and meaning."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from pixelwise.options import field_texts
from pixelwise.recipes.fields import accepted, section_of
from pixelwise.recipes.overrides import default_of
from pixelwise.recipes.ranges import interval
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.model import SPECS, Spec
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.schema.roles import bare
from pixelwise.recipes.schema.terms import TERMS
from pixelwise.recipes.units import unit_of

_HEADINGS = ("field", "values", "unit", "range", "default", "meaning")
_BEGIN = """# Recipes: every field

A recipe is a TOML file, or a name from `pixelwise recipes`. `base = "NAME"` at its top takes everything from another
recipe, and the file then holds only what is different; without it, the fields that every recipe sets have to be there.
`pixelwise show NAME` prints a recipe in full, `pixelwise explain FIELD` tells of one field, and
[`pixelwise schema`](setup.md#recipes-in-an-editor) brings all of this into an editor. On the command line a field is
set as `section.field=value`, and `section.field=none` unsets one that may be unset.

This page is made from the code by `python tests/reports/write_recipe_fields.py`. A range is that of each number of a
list; what depends on several fields is said when a recipe is read. Sizes are `[height, width]`.
"""


def recipe_fields_page() -> str:
    """The page, with the families and terms of Pixelwise itself; a test compares it with docs/recipes.md."""
    return "\n".join([_BEGIN, *_section(Recipe, "")]).rstrip("\n") + "\n"


def _section(kind: type[msgspec.Struct], path: str, *, whole: Any = None, about: str = "") -> Iterator[str]:
    """A section with its table, then the sections within it.

    Args:
        kind: Type of the section.
        path: Path of the section; empty for the recipe itself.
        whole: The default of the section, if it has one of its own.
        about: Beginning of the section's text.
    """
    title = f"[{path}]" if path else "At the top"
    yield from (f"## `{title}`" if path else f"## {title}", "", f"{about}{_sentence(kind)}", "")
    fields = msgspec.structs.fields(kind)
    plain = [field for field in fields if section_of(field.type) is None and not _is_terms(kind, field)]
    if plain:
        yield from _table(_row(kind, field, path, whole) for field in plain)
    for field in fields:
        inner, below = section_of(field.type), f"{path}.{field.name}".lstrip(".")
        if inner is Spec:
            yield from _families(below)
        elif inner is not None:
            optional = "Left out unless it is set. " if type(None) in typing.get_args(bare(field.type)) else ""
            yield from _section(inner, below, whole=_default(field, whole), about=optional)
        elif _is_terms(kind, field):
            for name, term in TERMS.own().items():
                if name not in Loss.__struct_fields__:
                    yield from _section(term, f"{below}.{name}")
        elif (item := _item(field.type)) is not None:
            yield from _section(item, below, about=f"Each entry of the list, `[[{below}]]`. ")


def _families(path: str) -> Iterator[str]:
    yield from (f"## `[{path}]`", "", "The network. `family` names it, and decides which other fields there are.", "")
    for family, spec in SPECS.own().items():
        yield from (f'### `family = "{family}"`', "", _sentence(spec), "")
        rows = []
        for field in msgspec.structs.fields(spec):
            inner, default = section_of(field.type), _default(field, None)
            parts = msgspec.structs.fields(inner) if inner is not None else (field,)
            prefix = f"{path}.{field.name}" if inner is not None else path
            rows += [_row(inner or spec, part, prefix, default if inner is not None else None) for part in parts]
        yield from _table(iter(rows))


def _row(kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo, path: str, whole: Any) -> tuple[str, ...]:
    name = f"{path}.{field.name}".lstrip(".")
    return (
        f"`{name}`",
        accepted(field.type),
        unit_of(name) if _has_numbers(field.type) else "",
        interval(kind, field.name).words(),
        default_of(_default(field, whole)),
        field_texts(kind).get(field.name, ""),
    )


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield from (_line(_HEADINGS), _line(("---",) * len(_HEADINGS)))
    for row in rows:
        yield _line(tuple(cell.replace("|", r"\|") for cell in row))
    yield ""


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _default(field: msgspec.structs.FieldInfo, whole: Any) -> Any:
    if whole is not None and hasattr(whole, field.name):
        return getattr(whole, field.name)
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _is_terms(kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> bool:
    return kind is Loss and field.name == "terms"


def _item(kind: Any) -> type[msgspec.Struct] | None:
    """The type of the tables in a list of them; None for other fields."""
    parts = typing.get_args(bare(kind))
    found = bare(parts[0]) if parts else None
    return found if isinstance(found, type) and issubclass(found, msgspec.Struct) else None


def _has_numbers(kind: Any) -> bool:
    kind = bare(kind)
    return kind in (int, float) or any(_has_numbers(part) for part in typing.get_args(kind) if part is not ...)


def _sentence(kind: type[msgspec.Struct]) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())
