import io
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pixelwise.api.default_observer import is_read_here, observer_or_display
from pixelwise.observer import SILENT, Observer
from pixelwise.reports.displays import NotebookDisplay, TerminalDisplay


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes both streams terminals; called by the test, because pytest puts its own streams there before it."""

    def make() -> None:
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setattr(sys, "stdout", Terminal())

    return make


@pytest.fixture
def _notebook(monkeypatch: pytest.MonkeyPatch):
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", shell)


def test_a_pipe_stays_quiet(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with observer_or_display(None) as observer:
        assert observer is SILENT
    monkeypatch.setattr(sys, "stderr", None)  # a program without a console
    with observer_or_display(None) as observer:
        assert observer is SILENT


def test_a_terminal_shows_bars(on_terminal: Callable[[], None]):
    on_terminal()
    with observer_or_display(None) as observer:
        assert isinstance(observer, TerminalDisplay)


@pytest.mark.usefixtures("_notebook")
def test_a_notebook_shows_bars():
    with observer_or_display(None) as observer:
        assert isinstance(observer, NotebookDisplay)


@pytest.mark.parametrize("own", [SILENT, Observer()])
def test_an_observer_of_the_caller_is_the_only_one(own: Observer, on_terminal: Callable[[], None]):
    on_terminal()
    with observer_or_display(own) as observer:
        assert observer is own


def test_functions_of_the_caller_are_observers_too(on_terminal: Callable[[], None]):
    on_terminal()
    said: list[Any] = []
    keywords = {"progress": lambda done, total: said.append((done, total)), "boundary": False}
    with observer_or_display(None, keywords) as observer:
        observer.progress(1, 2)
    assert said == [(1, 2)]
    assert keywords == {"boundary": False}


def test_text_is_read_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not is_read_here()
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert is_read_here()


@pytest.mark.usefixtures("_notebook")
def test_a_notebook_shows_values_instead_of_text(on_terminal: Callable[[], None]):
    on_terminal()
    assert not is_read_here()
