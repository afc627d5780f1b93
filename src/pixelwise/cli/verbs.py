"""The group of all verbs, which imports the module of a verb only when that verb is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

VERBS = (
    "recipes",
    "show",
    "check",
    "train",
    "resume",
    "watch",
    "evaluate",
    "predict",
    "report",
    "table",
    "profile",
    "export",
    "quantize",
    "deploy",
    "import-weights",
    "data",
    "models",
)
"""Names of the verbs, in the order of the help. The module of each has the same name, with underscores."""
MARKUP: Literal["markdown"] = "markdown"


class Verbs(TyperGroup):
    """The verbs of the command line. Listing them reads their first sentences from the sources of their modules.

    Building the options of all verbs takes longer than printing the list.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._listing = False
        self.commands = dict.fromkeys(VERBS)  # type: ignore[assignment]  # for suggestions, which need names alone

    def list_commands(self, ctx: Any) -> list[str]:
        """All names."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a verb, None if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        return TyperCommand(name=cmd_name, help=summary(cmd_name)) if self._listing else command(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text with the list of verbs."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def module_of(verb: str) -> str:
    """Name of a verb's module within this package."""
    return verb.replace("-", "_")


def command(verb: str) -> Any:
    """The command of a verb, a group if it has verbs of its own."""
    module = importlib.import_module(f"pixelwise.cli.{module_of(verb)}")
    if hasattr(module, "app"):
        group = typer.main.get_command(module.app)
        group.name = verb
        return group
    from pixelwise.cli.options import Verb

    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=MARKUP)
    alone.command(verb, cls=Verb)(module.run)
    return typer.main.get_command(alone)


def summary(verb: str) -> str:
    """The first paragraph of a verb's help text."""
    source = pkgutil.get_data("pixelwise.cli", f"{module_of(verb)}.py") or b""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name in ("run", "_group"):
            return " ".join(inspect.cleandoc(ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return ""
