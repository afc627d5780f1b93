"""Every command of README, docs and benchmarks is one that this version accepts."""

import shlex

import pytest
from cli.line.test_help import COMMANDS
from documentation.pages import Command, commands

from pixelwise.cli.line.words import is_setting
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.fields import full_path

SHOWN = commands()
WITHOUT_SETTINGS = {"models search"}


def words_of(line: str) -> list[str]:
    """The words after `pixelwise`, without the comment and what the shell does with the output."""
    words = shlex.split(line, comments=True)
    return words[1 : next((i for i, word in enumerate(words) if word in ("|", ">", "&&", "&")), len(words))]


def test_the_pages_show_commands():
    assert len({one.page for one in SHOWN}) >= 8
    assert len(SHOWN) >= 60


@pytest.mark.parametrize("shown", SHOWN, ids=lambda one: f"{one.page}: {one.line}")
def test_commands_are_accepted(shown: Command):
    words = words_of(shown.line)
    verb = next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)
    rest = words[len(verb.split()) :]
    COMMANDS[verb].make_context(verb, list(rest))
    settings = [word for word in rest if is_setting(word)] if verb not in WITHOUT_SETTINGS else []
    assert all(full_path(word.partition("=")[0]) for word in settings)


def test_recipes_that_commands_name_exist():
    named = [
        words[words.index("--recipe") + 1]
        for words in map(words_of, (one.line for one in SHOWN))
        if "--recipe" in words
    ]
    assert named
    assert [name for name in named if not name.endswith(".toml") and name not in list_recipes()] == []
