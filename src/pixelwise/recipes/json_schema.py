"""The JSON Schema of recipe files, for editors: made from the structs, like everything else that is said of fields.

It knows fields, types, choices, ranges, defaults and descriptions. What depends on several fields is checked when the
recipe is read. A file with a `base` may leave out any field, one without needs those that have no default.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from typing import Any

import msgspec

from pixelwise.options import field_texts
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.fields import section_of
from pixelwise.recipes.parsing import TAG
from pixelwise.recipes.ranges import interval
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.model import SPECS, Spec
from pixelwise.recipes.schema.recipe import Recipe, without_unset
from pixelwise.recipes.schema.roles import bare
from pixelwise.recipes.schema.terms import TERMS

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The version that editors of TOML know."""
_SAID_OF_FAMILY = ("description", "default")
"""What each family says in its own way of a field that several have."""
_PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean"}
Schema = dict[str, Any]


def recipe_schema() -> Schema:
    """The JSON Schema (draft 7) of recipe files, with the model families and loss terms of installed packages."""
    writer = _Writer()
    whole, changes = writer.section(Recipe, partial=False), writer.section(Recipe, partial=True)
    return {
        "$schema": DRAFT,
        "title": "Pixelwise recipe",
        "description": "A complete recipe, or `base` and what is different.",
        "type": "object",
        "if": {"required": ["base"]},
        "then": changes,
        "else": whole,
        "definitions": dict(sorted(writer.definitions.items())),
    }


class _Writer:
    """Collects the definitions of sections; those of files with a base require nothing."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def section(self, kind: type[msgspec.Struct], *, partial: bool) -> Schema:
        """A reference to the definition of a section.

        Args:
            kind: Type of the section.
            partial: Whether fields may be left out that have no default.
        """
        name = _name(kind) + ("Changes" if partial else "")
        if name not in self.definitions:
            self.definitions[name] = {}  # a section that holds itself would never end
            self.definitions[name] = self._model(partial) if kind is Spec else self._table(kind, partial)
        return {"$ref": f"#/definitions/{_escaped(name)}"}

    def _table(self, kind: type[msgspec.Struct], partial: bool) -> Schema:
        properties = {field.name: self._field(kind, field, partial) for field in msgspec.structs.fields(kind)}
        required = [field.name for field in msgspec.structs.fields(kind) if field.required]
        if kind is Recipe and partial:
            names = list_recipes()
            properties["base"] = {
                "description": "The recipe that this one changes: its name, or a path that ends in .toml.",
                "anyOf": [{"enum": names}, {"type": "string", "pattern": r"\.toml$"}],
            }
        return _object(properties, [] if partial else required, _sentence(kind))

    def _model(self, partial: bool) -> Schema:
        """The network. Its `family` decides which fields it has; in a file with a base, it may be that of the base.

        Editors name a wrong field only if it is not one of several alternatives, hence a condition for each family.
        """
        by_name: dict[str, list[Schema]] = {}
        conditions = []
        for family, spec in SPECS.all().items():
            table = self._table(spec, partial)
            for name, field in table["properties"].items():
                values = {word: said for word, said in field.items() if word not in _SAID_OF_FAMILY}
                if values not in by_name.setdefault(name, []):
                    by_name[name].append(values)
            table["properties"] = {TAG: {"const": family}} | table["properties"]
            name = _name(spec) + ("Changes" if partial else "")
            self.definitions[name] = table
            of_family = {"properties": {TAG: {"const": family}}, "required": [TAG]}
            conditions.append({"if": of_family, "then": {"$ref": f"#/definitions/{_escaped(name)}"}})
        tag = {TAG: {"description": "Family of the network.", "enum": list(SPECS.all())}}
        fields = {name: found[0] if len(found) == 1 else {"anyOf": found} for name, found in by_name.items()}
        text = "The network; which fields it has depends on its family."
        return _object(tag | fields, [] if partial else [TAG], text) | {"allOf": conditions}

    def _field(self, kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo, partial: bool) -> Schema:
        inner = section_of(field.type)
        if inner is not None:
            return self.section(inner, partial=partial)
        if kind is Loss and field.name == "terms":
            schema = self._terms(partial)
        else:
            schema = self._value(field.type, _limits(kind, field.name))
        text = field_texts(kind).get(field.name, "")
        described = {"description": text} if text else {}
        default = {}
        if field.default not in (msgspec.NODEFAULT, None):
            default = {"default": without_unset(msgspec.to_builtins(field.default))}
        return described | schema | default

    def _terms(self, partial: bool) -> Schema:
        # Terms with a field in [loss] are set there.
        others = {name: term for name, term in TERMS.all().items() if name not in Loss.__struct_fields__}
        tables = {name: self.section(term, partial=partial) for name, term in others.items()}
        return _object(tables, [], "")

    def _value(self, kind: Any, limits: Schema) -> Schema:
        """The values of a type; `limits` apply to its numbers, also to those of a list."""
        kind = bare(kind)
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]} | (limits if kind in (int, float) else {})
        origin, parts = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Literal:
            return {"enum": list(parts)}
        if origin in (typing.Union, types.UnionType):
            choices = [self._value(part, limits) for part in parts if part is not type(None)]
            return choices[0] if len(choices) == 1 else {"anyOf": choices}
        if origin is dict:
            return {"type": "object", "additionalProperties": self._value(parts[1], {})}
        if origin in (tuple, list) and (origin is list or parts[-1] is ...):
            return {"type": "array", "items": self._value(parts[0], limits)}
        if origin is tuple:
            items = [self._value(part, limits) for part in parts]
            same = all(item == items[0] for item in items)
            return {
                "type": "array",
                "items": items[0] if same else items,
                "minItems": len(parts),
                "maxItems": len(parts),
            }
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.section(kind, partial=False)  # lists are replaced as a whole
        return {}


def _limits(kind: type[msgspec.Struct], name: str) -> Schema:
    """The range of a field's numbers in the words of JSON Schema."""
    found = interval(kind, name)
    bounds = {
        "exclusiveMinimum" if found.above else "minimum": found.least,
        "exclusiveMaximum" if found.below else "maximum": found.most,
    }
    return {word: bound for word, bound in bounds.items() if bound is not None}


def _object(properties: Schema, required: list[str], description: str) -> Schema:
    return {
        **({"description": description} if description else {}),
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _sentence(kind: type[msgspec.Struct]) -> str:
    """The first sentence of a section, on one line."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def _name(kind: type[msgspec.Struct]) -> str:
    """The name of a definition; classes of other packages carry the name of theirs."""
    return kind.__name__ if kind.__module__.startswith("pixelwise.") else f"{kind.__module__}.{kind.__qualname__}"


def _escaped(name: str) -> str:
    """A name within the address of a reference (RFC 6901 and 3986)."""
    return re.sub(
        r"[^A-Za-z0-9._()-]", lambda found: f"%{ord(found[0]):02X}", name.replace("~", "~0").replace("/", "~1")
    )
