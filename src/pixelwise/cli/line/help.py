"""The help of a verb: usage, description, examples, arguments and options, without columns for types.

A verb's examples are its `epilog`, one command a line, each with an optional comment after `  # `.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

NAMES_WIDTH = 26
"""Number of characters in the column of the options; longer ones stand above their text."""
COMMANDS_WIDTH = 14
"""Number of characters in the column of the verbs."""


def print_help(command: Any, context: Any) -> None:
    """Print the help of a command or of a group of commands to standard output.

    Args:
        command: The command, whose texts name lists of registries no more; the examples of a group are in `examples`.
        context: Its context.
    """
    console = Console(highlight=False, emoji=False, markup=False)
    shown = [one for one in command.get_params(context) if not getattr(one, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    console.print()
    words = command.collect_usage_pieces(context)
    _print(console, Text.assemble(("Usage: ", "bold"), " ".join([context.command_path, *words])))
    console.print()
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        _print(console, _styled(" ".join(paragraph.split())))
        console.print()
    _print_examples(console, command)
    for title, verbs in groups_of(command, context).items():
        _print_rows(console, title, [(verb.name, _first(verb.help)) for verb in verbs], COMMANDS_WIDTH)
    _print_rows(console, "Arguments", [(names_of(one), text_of(one)) for one in arguments])
    _print_rows(console, "Options", [(names_of(one), text_of(one)) for one in shown if one not in arguments])
    if last := getattr(command, "last_words", ""):
        _print(console, _styled(last))
        console.print()


def usage_words(parameters: Iterable[Any]) -> list[str]:
    """`[OPTIONS] [RECIPE] DATA [FIELD=VALUE]...`, word by word."""
    return ["[OPTIONS]", *(names_of(one) for one in parameters if one.param_type_name == "argument")]


def groups_of(command: Any, context: Any) -> dict[str, list[Any]]:
    """Title -> the commands of a group under it, in their order; empty for a command."""
    groups: dict[str, list[Any]] = {}
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        verb = command.get_command(context, name)
        title = getattr(verb, "rich_help_panel", None)
        groups.setdefault(title if isinstance(title, str) else "Verbs", []).append(verb)
    return groups


def _first(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").partition("\n\n")[0].split())


def _print_examples(console: Console, command: Any) -> None:
    examples = [line for line in (command.epilog or "").splitlines() if line.strip()]
    if not examples:
        return
    _print(console, Text("Examples", "bold"))
    for line in examples:
        example, _, comment = line.partition("  # ")
        _print(console, Text.assemble((example, "cyan"), f"  # {comment}" if comment else ""), 3)
    console.print()


def _print(console: Console, text: Text, indent: int = 1) -> None:
    console.print(Padding(text, (0, 1, 0, indent), expand=False))


def _print_rows(console: Console, title: str, rows: Sequence[tuple[str, str]], width: int = NAMES_WIDTH) -> None:
    if not rows:
        return
    _print(console, Text(title, "bold"))
    for names, text in rows:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=width)
        grid.add_column()
        above = len(names) > width
        if above:
            _print(console, Text(names, "cyan"), 3)
        grid.add_row(Text("" if above else names, "cyan"), _styled(text))
        console.print(Padding(grid, (0, 1, 0, 3), expand=False))
    console.print()


def names_of(parameter: Any) -> str:
    """`-o, --output FOLDER`, `--[no-]evaluate` or `[RECIPE] DATA`."""
    metavar = parameter.metavar or ""
    if parameter.param_type_name == "argument":
        return metavar or parameter.name.upper()
    short = [name for name in parameter.opts if not name.startswith("--")]
    long = [name for name in parameter.opts if name.startswith("--")]
    if parameter.secondary_opts:
        long = [f"--[no-]{long[0].removeprefix('--')}"]
    names = ", ".join([*short, *long]) if short else f"    {', '.join(long)}"
    return names if parameter.is_flag or not metavar else f"{names} {metavar}"


def text_of(parameter: Any) -> str:
    """The text of a parameter and its default, unless the text says it or there is none."""
    text = " ".join((getattr(parameter, "help", None) or "").split())
    default = parameter.default
    if not parameter.show_default or default in (None, False, (), []) or callable(default) or "efault" in text:
        return text
    if default is True:
        return f"{text} [default: on]"
    shown = (
        ", ".join(map(str, default)) if isinstance(default, list | tuple) else str(getattr(default, "value", default))
    )
    return f"{text} [default: {shown}]"


def _styled(text: str) -> Text:
    """Text in which the words in backticks are coloured; the marks are left out."""
    pieces = re.split(r"`([^`]*)`", text)
    return Text.assemble(*((piece, "cyan" if number % 2 else "") for number, piece in enumerate(pieces)))
