"""The group of all verbs, which imports the module of a verb only when that verb is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

PANELS = {
    "Your data": ("check", "data", "prelabel"),
    "Train": ("train", "distill", "crossval", "resume", "watch", "track", "recipes", "show", "explain"),
    "Use": ("evaluate", "compare", "ui", "predict", "serve", "report", "export", "quantize", "deploy", "profile"),
    "Published models": ("models", "table", "import-weights", "push"),
    "Set up": ("doctor", "schema"),
}
"""Title of a group in the help -> its verbs."""
VERBS = tuple(verb for verbs in PANELS.values() for verb in verbs)
"""Names of the verbs, in the order of the help. The module of each has the same name, with underscores."""
_PACKAGES = {
    "prelabel": "labelling",
    **dict.fromkeys(("compare", "crossval"), "several"),
    **dict.fromkeys(PANELS["Published models"], "published"),
    **dict.fromkeys(PANELS["Set up"], "setting_up"),
}
"""Verb -> the package of its module, for those that have one."""
MARKUP: Literal["markdown"] = "markdown"


class Group(TyperGroup):
    """A group of verbs, whose help has the style of theirs."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line, as the help has them."""
        return ["[OPTIONS]", "VERB ..."]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text with the list of verbs."""
        from pixelwise.cli.line.help import print_help

        print_help(self, ctx)


class Verbs(Group):
    """All verbs of the command line. Listing them reads their first sentences from the sources of their modules.

    Building the options of all verbs takes longer than printing the list.
    """

    last_words = (
        "Errors end with a code, which `pixelwise explain D202` explains, and an exit status: 2 usage or recipe, "
        "3 data, 4 weights, 5 training diverged, 6 disk or memory, 7 folder in use, 75 stopped but resumable, "
        "130 Ctrl-C."
    )

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
        if not self._listing:
            return command(cmd_name)
        panel = next(title for title, verbs in PANELS.items() if cmd_name in verbs)
        return TyperCommand(name=cmd_name, help=summary(cmd_name), rich_help_panel=panel)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text with the list of verbs."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def module_of(verb: str) -> str:
    """Name of a verb's module within `pixelwise.cli`, such as `train` and `labelling.prelabel`."""
    name = verb.replace("-", "_")
    return f"{_PACKAGES[verb]}.{name}" if verb in _PACKAGES else name


def command(verb: str) -> Any:
    """The command of a verb, a group if it has verbs of its own."""
    from pixelwise.cli.line.loudness import with_loudness

    module = importlib.import_module(f"pixelwise.cli.{module_of(verb)}")
    if hasattr(module, "app"):
        for one in module.app.registered_commands:
            one.callback = with_loudness(one.callback)
            one.epilog = "\n".join(module.EXAMPLES[one.name or one.callback.__name__])
        group = typer.main.get_command(module.app)
        group.name = verb
        return group
    from pixelwise.cli.line.options import Verb

    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=MARKUP)
    alone.command(verb, cls=Verb, epilog="\n".join(module.EXAMPLES))(with_loudness(module.run))
    return typer.main.get_command(alone)


def summary(verb: str) -> str:
    """The first paragraph of a verb's help text."""
    source = pkgutil.get_data("pixelwise.cli", f"{module_of(verb).replace('.', '/')}.py") or b""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name in ("run", "_group"):
            return " ".join(inspect.cleandoc(ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return ""
