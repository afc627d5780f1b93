import inspect

import pytest
import typer

from pixelwise.cli.line.loudness import with_loudness
from pixelwise.reports.displays import display
from pixelwise.reports.verbosity import Verbosity, verbosity


def verb(name: str = "x") -> Verbosity:
    """A verb that tells how much it is to say."""
    return verbosity()


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({}, Verbosity.NORMAL),
        ({"quiet": True, "verbose": False}, Verbosity.QUIET),
        ({"quiet": False, "verbose": True}, Verbosity.VERBOSE),
    ],
)
def test_a_verb_runs_at_the_level_that_is_asked_for(given: dict, level: Verbosity):
    assert with_loudness(verb)(**({"quiet": False, "verbose": False} | given)) is level
    assert verbosity() is Verbosity.NORMAL


def test_both_exclude_each_other():
    with pytest.raises(typer.BadParameter):
        with_loudness(verb)(quiet=True, verbose=True)


def test_the_options_are_added_once_and_never_twice():
    once = with_loudness(verb)
    assert list(inspect.signature(once).parameters) == ["name", "quiet", "verbose"]
    assert with_loudness(once) is once


def test_a_verb_keeps_an_option_of_its_own():
    def own(verbose: bool = False) -> tuple[bool, Verbosity]:
        return verbose, verbosity()

    assert list(inspect.signature(with_loudness(own)).parameters) == ["verbose", "quiet"]
    assert with_loudness(own)(verbose=True, quiet=False) == (True, Verbosity.NORMAL)


def test_displays_say_as_much(capsys: pytest.CaptureFixture[str]):
    def phases(**given: bool) -> str:
        def work() -> None:
            with display() as observer:
                observer.phase("reading")
                observer.warn("W999", "something")

        with_loudness(work)(**({"quiet": False, "verbose": False} | given))
        return capsys.readouterr().err

    assert phases(quiet=True) == "warning[W999]: something\n"
    assert phases(verbose=True) == "reading ...\nwarning[W999]: something\n"
    assert phases() == "warning[W999]: something\n"
