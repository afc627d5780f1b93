"""What a field of a recipe is for: said at the field, read here by everything that treats fields unlike.

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
    """Why a field does not decide what is trained, or decides it in a way of its own.

    A field without a role decides what is trained. A role of a section is that of all its fields.
    """

    NAME = "name"
    """What the recipe is called."""
    TEXT = "text"
    """Words for people."""
    CLAIM = "claim"
    """What was published of the recipe; a changed recipe loses it."""
    OPERATIONAL = "operational"
    """How the machine is used: no number that is trained or scored depends on it."""
    DISPLAY = "display"
    """How results look."""
    CHANCE = "chance"
    """Which of many equally good runs it is."""
    TOLERANCE = "tolerance"
    """Which faults of the data are let pass."""
    LENGTH = "length"
    """When training ends; a run may be continued with another one."""
    START = "start"
    """Where the weights come from."""
    PLACE = "place"
    """Where something lies on this machine."""
    FROM_DATA = "from data"
    """What a run fills in from its data where the recipe leaves it open."""


def role(*roles: Role) -> msgspec.Meta:
    """What a field's annotation says of its roles."""
    return msgspec.Meta(extra={"roles": frozenset(roles)})


@cache
def paths_with(kind: type[msgspec.Struct], *roles: Role) -> tuple[str, ...]:
    """Fields and sections of a struct that have one of these roles, as `data.workers` or `checkpoints`.

    Args:
        kind: A recipe, or a section of one.
        *roles: The roles.
    """
    return tuple(_paths(kind, frozenset(roles), ""))


def is_in(path: str, paths: tuple[str, ...]) -> bool:
    """Whether a field is one of `paths` or in one of the sections among them."""
    return any(path == one or path.startswith(f"{one}.") for one in paths)


def without(plain: dict[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    """A plain recipe, or a section of one, without the fields and sections at these paths."""
    inner: dict[str, tuple[str, ...]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        inner[head] = (*inner.get(head, ()), rest)
    kept = {key: value for key, value in plain.items() if "" not in inner.get(key, ())}
    return {key: without(value, inner[key]) if key in inner else value for key, value in kept.items()}


def bare(annotation: Any) -> Any:
    """The type of a field without what else its annotation says."""
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
