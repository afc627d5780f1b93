"""Roles of recipe fields, which are declared in the fields' annotations and decide how the fields are treated.

workers: Annotated[int | None, role(Role.OPERATIONAL)] = None
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec


class Role(StrEnum):
    """The reason why a field does not determine what is trained, or does so in a special way.

    A field without a role determines what is trained. The role of a section applies to all its fields.
    """

    NAME = "name"
    """The name of the recipe."""
    TEXT = "text"
    """Text for readers."""
    CLAIM = "claim"
    """The published result of the recipe, which a changed recipe loses."""
    OPERATIONAL = "operational"
    """Use of the machine, which affects neither weights nor scores."""
    DISPLAY = "display"
    """Appearance of results."""
    CHANCE = "chance"
    """Random choice among equally good runs."""
    TOLERANCE = "tolerance"
    """Errors of the data that are accepted."""
    LENGTH = "length"
    """Length of training, which may be changed when a run is resumed."""
    START = "start"
    """Source of the initial weights."""
    PLACE = "place"
    """Path on this machine."""
    MOVABLE = "movable"
    """Path of what another field identifies by its content, which may have moved when a run is resumed."""
    FROM_DATA = "from data"
    """Value that a run fills in from its data if the recipe leaves it open."""


def role(*roles: Role) -> msgspec.Meta:
    """Annotation that gives a field these roles."""
    return msgspec.Meta(extra={"roles": frozenset(roles)})


@cache
def paths_with(kind: type[msgspec.Struct], *roles: Role) -> tuple[str, ...]:
    """Paths of a struct's fields and sections that have at least one of these roles: `data.workers`, `checkpoints`.

    Args:
        kind: Type of a recipe or of a section.
        *roles: Roles to look for.
    """
    return tuple(_paths(kind, frozenset(roles), ""))


def is_in(path: str, paths: tuple[str, ...]) -> bool:
    """Whether a field is one of `paths` or belongs to a section among them."""
    return any(path == one or path.startswith(f"{one}.") for one in paths)


def without(plain: dict[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    """A plain recipe or section without the fields and sections at these paths."""
    inner: dict[str, tuple[str, ...]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        inner[head] = (*inner.get(head, ()), rest)
    kept = {key: value for key, value in plain.items() if "" not in inner.get(key, ())}
    return {key: without(value, inner[key]) if key in inner else value for key, value in kept.items()}


def bare(annotation: Any) -> Any:
    """The type in a field's annotation, without its metadata."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation


def _paths(kind: type[msgspec.Struct], roles: frozenset[Role], prefix: str) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        own = _roles_of(field.type)
        section = bare(field.type)
        if own & roles:
            yield f"{prefix}{field.name}"
        elif isinstance(section, type) and issubclass(section, msgspec.Struct):
            yield from _paths(section, roles, f"{prefix}{field.name}.")


def _roles_of(annotation: Any) -> frozenset[Role]:
    marks = typing.get_args(annotation)[1:] if typing.get_origin(annotation) is typing.Annotated else ()
    extras = [mark.extra or {} for mark in marks if isinstance(mark, msgspec.Meta)]
    return frozenset().union(*(extra.get("roles", ()) for extra in extras))
