"""Options of the public functions: a frozen struct per verb, declared once for Python and for the command line.

`--help` prints the text of a field from the class's `Attributes:` section; the field's default is that of the
command-line option, and its bounds (`Annotated[int, Meta(ge=1)]`, `Literal[...]`) are checked here for both.
"""

from __future__ import annotations

import inspect
import os
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import msgspec

from pixelwise.errors import RecipeError

TableFormat = Literal["terminal", "md", "html", "csv", "json"]
"""Formats of the verbs that print tables or write them to a file."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base class of the options of a verb.

    Paths may be given as text, and a single value where several are accepted.

    Raises:
        RecipeError: R260, a value is outside its bounds or not among its choices.
    """

    def __post_init__(self) -> None:
        for field, (is_path, several) in _conversions(type(self)).items():
            value = getattr(self, field)
            if value is not None and (converted := _converted(value, is_path, several)) is not value:
                msgspec.structs.force_setattr(self, field, converted)
        for field, bounds in constraints(type(self)).items():
            value = getattr(self, field)
            if value is not None and (reason := bounds.violated_by(value)) is not None:
                raise RecipeError("R260", f"`{field}` is {value!r}; expected {reason}", f"change `{field}`")


class Bounds(msgspec.Struct, frozen=True):
    """Values that a field accepts.

    Attributes:
        least: Smallest accepted value; None for no bound.
        most: Largest accepted value; None for no bound.
        choices: The accepted values; empty if any value is.
        each: Whether the field holds several values, to each of which the bounds apply.
    """

    least: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()
    each: bool = False

    def violated_by(self, value: Any) -> str | None:
        """What is expected instead of `value`; None if it is accepted."""
        for one in value if self.each else (value,):
            if self.choices and one not in self.choices:
                return f"one of {', '.join(map(str, self.choices))}"
            if (self.least is not None and one < self.least) or (self.most is not None and one > self.most):
                return self.words()
        return None

    def words(self) -> str:
        """`1 or more`, `0 to 1`."""
        if self.most is None:
            return f"{self.least:g} or more"
        return f"{self.most:g} or less" if self.least is None else f"{self.least:g} to {self.most:g}"


@cache
def constraints(options: type[Options]) -> dict[str, Bounds]:
    """Field name -> bounds, for every field that has any."""
    found = {}
    for name, hint in typing.get_type_hints(options, include_extras=True).items():
        if (bounds := _bounds(hint)) != Bounds():
            found[name] = bounds
    return found


def _bounds(hint: Any, each: bool = False) -> Bounds:
    least: float | None = None
    most: float | None = None
    if typing.get_origin(hint) is typing.Annotated:
        hint, *marks = typing.get_args(hint)
        for mark in marks:
            if isinstance(mark, msgspec.Meta):
                least, most = mark.ge, mark.le
    several = typing.get_origin(hint) in (tuple, list)
    parts = [part for part in typing.get_args(hint) if part not in (type(None), ...)]
    if typing.get_origin(hint) is Literal:
        return Bounds(least, most, typing.get_args(hint), each)
    if parts and (several or type(None) in typing.get_args(hint)):
        inner = _bounds(parts[0], each or several)
        if inner.choices or inner.least is not None or inner.most is not None:
            return inner
    return Bounds(least, most, (), each or several) if (least, most) != (None, None) else Bounds()


@cache
def _conversions(options: type[Options]) -> dict[str, tuple[bool, bool]]:
    """Field name -> whether it holds paths, and whether it holds several values; only fields that do either."""
    found = {}
    for name, hint in typing.get_type_hints(options).items():
        is_union = typing.get_origin(hint) in (Union, types.UnionType)
        for one in typing.get_args(hint) if is_union else (hint,):
            several = typing.get_origin(one) is tuple and typing.get_args(one)[-1:] == (...,)
            is_path = Path in (one, *typing.get_args(one))
            if several or is_path:
                found[name] = (is_path, several)
    return found


def _converted(value: Any, is_path: bool, several: bool) -> Any:
    if not several:
        return Path(value) if isinstance(value, (str, os.PathLike)) and not isinstance(value, Path) else value
    if isinstance(value, tuple) and not (is_path and any(not isinstance(one, Path) for one in value)):
        return value
    if isinstance(value, Mapping):  # overrides of a recipe by name
        return value
    values = (value,) if isinstance(value, (str, int, float, os.PathLike)) else tuple(value)
    return tuple(map(Path, values)) if is_path else values  # type: ignore[arg-type]


AnyOptions = TypeVar("AnyOptions", bound=Options)


def chosen(kind: type[AnyOptions], options: AnyOptions | None, changes: dict[str, Any]) -> AnyOptions:
    """The options of a call: a struct, single fields by keyword, or both, in which case the keywords win.

    Args:
        kind: Options class of the verb.
        options: Options as given by the caller; None for the defaults.
        changes: Keywords of the call.

    Raises:
        TypeError: `changes` names a field that `kind` lacks; the message suggests the nearest one.
        RecipeError: R260, a value is outside its bounds or not among its choices.
    """
    unknown = [name for name in changes if name not in kind.__struct_fields__]
    if unknown:
        import difflib

        near = difflib.get_close_matches(unknown[0], kind.__struct_fields__, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(kind.__struct_fields__)}"
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}{hint}")
    return kind(**changes) if options is None else msgspec.structs.replace(options, **changes)


@cache
def field_texts(options: type[Options]) -> dict[str, str]:
    """Field name -> its text in the `Attributes:` section of the class or of a base class, joined into one line."""
    texts: dict[str, str] = {}
    for base in reversed(options.__mro__):
        lines = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2].splitlines()
        name = ""
        for line in lines:
            indent = len(line) - len(line.lstrip())
            if indent == 4 and line.split(":")[0].strip().isidentifier():
                name, _, text = line.strip().partition(":")
                texts[name] = text.strip()
            elif indent > 4 and name:
                texts[name] += f" {line.strip()}"
            elif line.strip():
                break
    return texts
