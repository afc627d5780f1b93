"""Command line options from option structs: `takes(ExportOptions)` gives a verb one option per field.

`msgspec.Meta(extra={...})` of a field adjusts its option: `flag` (a name other than the field's), `metavar`, `many`
(the option is repeated instead of taking a comma-separated list), `hidden`, `word` (a word that is accepted beside
numbers), `early` or `late` (the option is listed before or after the others) and `names` (a function, as
`package.module:name`, that lists the accepted values; called when the help is shown).
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import typer
from typer.core import TyperCommand

from pixelwise.cli.line import completion
from pixelwise.errors import PixelwiseError
from pixelwise.options import Options, constraints, field_texts


class Verb(TyperCommand):
    """A command whose help lists the names in registries, and whose errors name flags instead of parameters."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text, with `{names of ...}` filled in."""
        self.help = self.help and with_names(self.help)
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = with_names(text)  # type: ignore[attr-defined]
        from pixelwise.cli.line.help import print_help

        print_help(self, ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line, as the help has them."""
        from pixelwise.cli.line.help import usage_words

        return usage_words(self.get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; in its errors, parameters become flags."""
        try:
            return super().invoke(ctx)
        except PixelwiseError as error:
            flags = {one.name: one.opts[0] for one in self.params if one.name and one.opts[0].startswith("--")}
            error.message, error.help = with_flags(error.message, flags), with_flags(error.help, flags)
            raise


class Flag(typing.NamedTuple):
    """Command line option of a field of an option struct.

    Attributes:
        field: Name of the field.
        flags: Name of the option: `--max-miou-drop`, or `--boundary/--no-boundary` for a switch that is on by default.
        parameter: Function parameter that Typer makes the option from.
        parse: Converts the value that Typer read into the field's value.
    """

    field: str
    flags: str
    parameter: inspect.Parameter
    parse: Callable[[Any], Any]


@functools.cache
def flags_of(options: type[Options]) -> tuple[Flag, ...]:
    """The flags of a struct, in the order of its fields: those marked as `early` first, those marked as `late` last."""
    hints = typing.get_type_hints(options, include_extras=True)
    marks = {name: _marks(hint) for name, hint in hints.items()}
    shown = [field for field in msgspec.structs.fields(options) if not marks[field.name].get("hidden")]
    shown.sort(key=lambda field: bool(marks[field.name].get("late")) - bool(marks[field.name].get("early")))
    return tuple(_flag(options, field, hints[field.name]) for field in shown)


def takes(options: type[Options]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator for a verb: one command line option per field of the struct `options` fills its parameter `options`."""

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        flags = flags_of(options)
        own = inspect.signature(verb, eval_str=True)
        before = [p for p in own.parameters.values() if p.name != "options"]

        @functools.wraps(verb)
        def run(**given: Any) -> Any:
            values = {flag.field: flag.parse(given.pop(flag.field)) for flag in flags}
            return verb(**given, options=options(**values))

        # The help lists the verb's own arguments and options first and `--json` last.
        first = [p for p in before if not _is_late(p)]
        last = [p for p in before if _is_late(p)]
        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*first, *(flag.parameter for flag in flags), *last)]
        run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        del run.__wrapped__  # type: ignore[attr-defined]  # Typer would read its annotations instead
        return run

    return decorate


def _is_late(parameter: inspect.Parameter) -> bool:
    return parameter.name == "json"


def _marks(hint: Any) -> dict[str, Any]:
    if typing.get_origin(hint) is typing.Annotated:
        for mark in typing.get_args(hint)[1:]:
            if isinstance(mark, msgspec.Meta) and mark.extra:
                return mark.extra
    return {}


def _flag(options: type[Options], field: msgspec.structs.FieldInfo, hint: Any) -> Flag:
    marks = _marks(hint)
    base, optional = _base(hint)
    required = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
    default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    name = marks.get("flag") or "--" + field.name.replace("_", "-")
    if base is bool and default is True:
        name = f"{name}/--no-{name.removeprefix('--')}"
    annotation, parse, show = _conversion(base, bool(marks.get("many")), bool(marks.get("repeats")))
    if word := marks.get("word"):
        annotation, parse = str, functools.partial(_word_or, word, base)
    text = field_texts(options).get(field.name, "")
    listing = marks.get("names")
    if listing:
        text += f" One of: {{names of {listing}}}."
    unset = default is None or (default == () and annotation is str)  # "" would be a value
    short = ["-o"] if field.name == "output" else []
    info = typer.Option(
        ... if required else None if unset else show(default),
        name,
        *short,
        help=text,
        autocompletion=_completion(field.name, listing),
        metavar=marks.get("metavar") or _METAVARS.get(field.name) or _metavar(base),
        show_default=not required and default not in (None, False, ()),
        **_limits(options, field.name, base),
    )
    kind = annotation | None if (optional or unset) and annotation is not bool else annotation
    parameter = inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=kind)

    def read(value: Any) -> Any:
        return default if value is None or (value == [] and not required) else parse(value)

    return Flag(field.name, name, parameter, read)


_METAVARS = {
    "data": "DATA", "images": "IMAGES", "output": "FOLDER", "recipe": "RECIPE", "split": "SPLIT", "begin": "RUN",
    "qat_run": "RUN", "size": "WIDTHxHEIGHT", "device": "DEVICE", "weights": "WEIGHTS", "html": "FILE", "write": "FILE",
    "group": "PATTERN", "val": "SHARE", "test": "SHARE", "target": "FORMAT", "targets": "FORMATS", "results": "FOLDER",
}  # fmt: skip
"""Field -> what its value is called in the help, the same in all verbs."""


def _completion(field: str, listing: str | None) -> Callable[[str], list[completion.Offer]] | None:
    """What the shell offers for the value of an option; None for files."""
    if listing:
        return completion.names_of(listing)
    return completion.recipes if field == "recipe" else None


def _metavar(base: Any) -> str | None:
    """What the value of an option is called if its field has no name for it; None for a switch."""
    if base is bool:
        return None
    if typing.get_origin(base) is Literal:
        return "|".join(map(str, typing.get_args(base)))
    if typing.get_origin(base) in (tuple, list):
        item = _base(typing.get_args(base)[0])[0]
        return "N,..." if item is int else "NAME,..."
    return {int: "N", float: "NUMBER", Path: "PATH"}.get(base, "NAME")


def _base(hint: Any) -> tuple[Any, bool]:
    """A type without `Annotated` and None, and whether it may be None."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    parts = typing.get_args(hint)
    if type(None) in parts and typing.get_origin(hint) is not Literal:
        rest = [part for part in parts if part is not type(None)]
        return _base(rest[0])[0], True
    return hint, False


def _conversion(base: Any, many: bool, repeats: bool = False) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
    """(type that Typer reads, conversion to the field's value, conversion of a default for display)."""
    if base == tuple[int, int]:  # (height, width) in code, WIDTHxHEIGHT on the command line
        from pixelwise.recipes.sizes import parse_size

        return str, parse_size, lambda size: f"{size[1]}x{size[0]}"
    if typing.get_origin(base) in (tuple, list):
        item = _base(typing.get_args(base)[0])[0]
        one = item if item in (int, float, Path) else str
        if many:
            return list[str], lambda texts: tuple(map(one, texts)), list
        return str, functools.partial(_separated, one, repeats=repeats), lambda values: ",".join(map(str, values))
    return base, lambda value: value, lambda value: value


def _separated(kind: type, text: str, *, repeats: bool = False) -> tuple[Any, ...]:
    """`1,2` -> (1, 2): the comma-separated values, without duplicates unless they mean something.

    Raises:
        typer.BadParameter: There is no value, or one that is not a number although `kind` is numeric.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise typer.BadParameter(f"'{text}' contains no value; leave the option out, or give one or more values")
    try:
        values = tuple(kind(part) for part in parts)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a list of numbers separated by commas, such as 1,2") from None
    return values if repeats else tuple(dict.fromkeys(values))


def _word_or(word: str, kind: type, text: str) -> Any:
    """The text itself if it is the word that is accepted beside numbers, otherwise the number.

    Raises:
        typer.BadParameter: The text is neither.
    """
    try:
        return text if text == word else kind(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is neither a number nor {word}") from None


def _limits(options: type[Options], field: str, base: Any) -> dict[str, Any]:
    bounds = constraints(options).get(field)
    if bounds is None or base not in (int, float):
        return {}
    return {name: one for name, one in (("min", bounds.least), ("max", bounds.most)) if one is not None}


def with_names(text: str) -> str:
    """Replace each `{names of package.module:function}` in a help text by the names that the function lists."""
    return re.sub(r"\{names of ([\w.:]+)\}", lambda found: ", ".join(pkgutil.resolve_name(found[1])()), text)


def with_flags(text: str, names: typing.Mapping[str, str]) -> str:
    """Replace parameters in a message by flags: `max_miou_drop` in backticks becomes --max-miou-drop.

    Args:
        text: The message, with parameters of functions in backticks.
        names: Parameter -> flag of the verb that ran; other words in backticks stay unchanged.
    """
    return re.sub(r"`(\w+)`", lambda found: names.get(found[1], found[0]), text)
