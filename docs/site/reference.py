"""The pages of the reference that are written from the code: the verbs, and the public names of the package."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

import griffe

import pixelwise
from pixelwise.cli import main
from pixelwise.cli.line.verbs import PANELS, command

QUIET: Any = {"warn_unknown_params": False, "warn_missing_types": False}
"""A class that is made by `__new__` documents parameters that the parser does not find."""


def verbs_page() -> str:
    """Every verb with its help, as the terminal shows it."""
    lines = ["# Verbs", "", "What `pixelwise VERB --help` prints.", ""]
    for panel, verbs in PANELS.items():
        lines += [f"## {panel}", ""]
        for verb in verbs:
            names = [f"{verb} {name}" for name in getattr(command(verb), "commands", {})]
            for name in [verb, *names]:
                lines += [f"### pixelwise {name}", "", "```text", _help(name), "```", ""]
    return "\n".join(lines)


def _help(name: str) -> str:
    """The help of a verb, 80 columns wide and without colour."""
    with _plain_terminal(), io.StringIO() as text, contextlib.redirect_stdout(text):
        main([*name.split(), "--help"])
        return text.getvalue().strip("\n")


@contextlib.contextmanager
def _plain_terminal() -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.update(COLUMNS="80", NO_COLOR="1", TERM="dumb")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def python_page() -> str:
    """The public names of the package with their docstrings."""
    package = griffe.load("pixelwise", docstring_parser="google", docstring_options=QUIET, resolve_aliases=True)
    lines = [
        "# Python interface",
        "",
        "The names of the package `pixelwise`; [a tour](../python.md) shows them at work.",
        "",
    ]
    for name in sorted(pixelwise.__all__, key=str.lower):
        lines += _described(name, package[name].final_target if package[name].is_alias else package[name])
    return "\n".join(lines)


def _described(name: str, found: Any, level: int = 2) -> list[str]:
    """A name, its signature, its docstring, and the public methods of a class."""
    mark = "#" * level
    lines = [f"{mark} {name}", ""]
    makers = [found.members[one] for one in ("__init__", "__new__") if found.is_class and one in found.members]
    if found.is_function or makers:
        lines += ["```python", _signature(name, [*makers, found][0]), "```", ""]
    lines += _docstring(found)
    if found.is_class:
        for member, value in found.members.items():
            if member.startswith("_") or value.is_alias or not value.docstring:
                continue
            if value.is_function or "property" in value.labels:
                lines += _described(f"{name}.{member}", value, level + 1)
    return lines


def _signature(name: str, function: Any) -> str:
    """The call with annotations, one parameter per line if it is long."""
    words, star = [], False
    for one in function.parameters:
        if one.name in ("self", "cls"):
            continue
        if one.kind is griffe.ParameterKind.keyword_only and not star:
            words, star = [*words, "*"], True
        prefix = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(one.kind, "")
        star = star or prefix == "*"
        default = f" = {one.default}" if one.default is not None and not prefix else ""
        words.append(f"{prefix}{one.name}{f': {one.annotation}' if one.annotation else ''}{default}")
    returns = f" -> {function.returns}" if getattr(function, "returns", None) else ""
    line = f"{name}({', '.join(words)}){returns}"
    inner = ",\n    ".join(words)
    return line if len(line) <= 100 else f"{name}(\n    {inner},\n){returns}"


def _docstring(found: Any) -> list[str]:
    """The sections of a docstring as Markdown."""
    lines: list[str] = []
    for section in found.docstring.parsed if found.docstring else []:
        match section.kind:
            case griffe.DocstringSectionKind.text:
                lines += [section.value, ""]
            case griffe.DocstringSectionKind.returns | griffe.DocstringSectionKind.yields:
                text = " ".join(" ".join(one.description.split()) for one in section.value)
                lines += [f"**{section.kind.value.capitalize()}** {text}", ""]
            case griffe.DocstringSectionKind.raises:
                lines += ["**Raises**", ""]
                lines += [f"- `{one.annotation}`: {' '.join(one.description.split())}" for one in section.value]
                lines += [""]
            case griffe.DocstringSectionKind.parameters | griffe.DocstringSectionKind.attributes:
                lines += [f"**{section.kind.value.capitalize()}**", ""]
                lines += [f"- `{one.name}`: {' '.join(one.description.split())}" for one in section.value]
                lines += [""]
            case griffe.DocstringSectionKind.admonition:
                lines += [f"**{section.title}** {' '.join(section.value.description.split())}", ""]
            case _:
                lines += [str(section.value), ""]
    return lines
