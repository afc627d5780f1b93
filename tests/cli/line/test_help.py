"""The help of every verb: one style, examples that work, and nothing lost to columns of types."""

import re
import shlex
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from pixelwise.cli.line.help import names_of, text_of
from pixelwise.cli.line.verbs import PANELS, VERBS, command
from pixelwise.cli.line.words import is_setting
from pixelwise.recipes.fields import full_path


def verbs() -> Iterator[tuple[str, object]]:
    """Words that call a verb -> its command, those of groups included."""
    for verb in VERBS:
        found = command(verb)
        if hasattr(found, "commands"):
            yield from ((f"{verb} {name}", one) for name, one in found.commands.items())
        else:
            yield verb, found


COMMANDS = dict(verbs())
EXAMPLES = [(verb, line) for verb, found in COMMANDS.items() for line in (found.epilog or "").splitlines()]


def test_every_verb_has_examples():
    assert {verb for verb, _ in EXAMPLES} == set(COMMANDS)


@pytest.mark.parametrize(("verb", "line"), EXAMPLES, ids=lambda value: value)
def test_examples_are_accepted(verb: str, line: str):
    example = line.partition("  # ")[0].partition(" > ")[0]
    words = shlex.split(example)
    assert words[: len(verb.split()) + 1] == ["pixelwise", *verb.split()]
    rest = words[len(verb.split()) + 1 :]
    COMMANDS[verb].make_context(verb, list(rest))
    for word in rest if verb != "models search" else ():
        assert not is_setting(word) or full_path(word.partition("=")[0])


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_is_shown_without_types_and_default_names(run_cli: Callable, verb: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, stdout, _ = run_cli([*verb.split(), "--help"])
    assert code == 0
    lines = stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"Usage: pixelwise {verb} [OPTIONS]" in stdout
    assert " Examples" in [line.rstrip() for line in lines]
    assert re.search(r"<\w+>|\{\w+\}|\[required\]", stdout) is None
    assert "-q, --quiet" in stdout
    assert "-v, --verbose" in stdout


NAMES = {
    "run": "RUN", "data": "DATA", "recipe": "RECIPE", "overrides": "[FIELD=VALUE]...", "size": "WIDTHxHEIGHT",
    "device": "DEVICE", "split": "SPLIT",
}  # fmt: skip


@pytest.mark.parametrize("verb", COMMANDS)
def test_one_thing_has_one_name(verb: str):
    # Shards have a size in bytes.
    own = {"size"} if verb == "data shard" else set()
    found = {one.name: one.metavar for one in COMMANDS[verb].params if one.name in NAMES.keys() - own}
    assert {name: metavar for name, metavar in found.items() if metavar != NAMES[name]} == {}
    outputs = [one for one in COMMANDS[verb].params if "--output" in one.opts]
    assert all("-o" in one.opts for one in outputs)
    assert [one.name for one in COMMANDS[verb].params if not one.metavar and not getattr(one, "is_flag", False)] == []


def test_the_list_of_verbs_is_grouped(run_cli: Callable):
    shown = run_cli(["--help"]).stdout
    places = [shown.index(f" {title}") for title in PANELS]
    assert places == sorted(places)
    for title, names in PANELS.items():
        part = shown[shown.index(f" {title}") :].partition("\n\n")[0]
        assert [name for name in names if f"   {name} " not in part] == []


def option(**changes: object) -> SimpleNamespace:
    usual = {
        "param_type_name": "option", "opts": ["--epochs"], "secondary_opts": [], "metavar": "N", "is_flag": False,
        "name": "epochs", "help": "Passes.", "default": None, "show_default": True,
    }  # fmt: skip
    return SimpleNamespace(**(usual | changes))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, "    --epochs N"),
        ({"opts": ["--output", "-o"], "metavar": "FOLDER"}, "-o, --output FOLDER"),
        ({"opts": ["--json"], "is_flag": True}, "    --json"),
        ({"opts": ["--overlay"], "secondary_opts": ["--no-overlay"], "is_flag": True}, "    --[no-]overlay"),
        ({"param_type_name": "argument", "metavar": "[DATA]..."}, "[DATA]..."),
        ({"param_type_name": "argument", "metavar": None, "name": "file"}, "FILE"),
    ],
)
def test_names_of_parameters(changes: dict, names: str):
    assert names_of(option(**changes)) == names


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "Passes."),
        ({"default": 3}, "Passes. [default: 3]"),
        ({"default": (1, 4)}, "Passes. [default: 1, 4]"),
        ({"default": True}, "Passes. [default: on]"),
        ({"default": False}, "Passes."),
        ({"default": 3, "help": "Passes. Default: as many as fit."}, "Passes. Default: as many as fit."),
        ({"default": 3, "show_default": False}, "Passes."),
    ],
)
def test_defaults_are_said_once(changes: dict, text: str):
    assert text_of(option(**changes)) == text
