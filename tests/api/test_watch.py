from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from observers import Told
from reports.run_folders import write_run_folder

import pixelwise
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.machine.processes import process_mark
from pixelwise.records.status import STATUS, RunStatus
from pixelwise.storage import json_text

LIVE = RunStatus(state="training", process=process_mark())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    write_run_folder(folder)
    return folder


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch):
    """Replace the waits by calls of the functions given, one after the other; the last one is repeated."""

    def replaced(*during: Callable[[], None]) -> list[float]:
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            during[min(len(slept), len(during)) - 1]()

        # Of this module alone: threads of others sleep, too.
        monkeypatch.setattr("pixelwise.api.watch.time", SimpleNamespace(sleep=sleep, time=time.time))
        return slept

    return replaced


def write(run: Path, **changes: object) -> None:
    (run / STATUS).write_text(json_text(msgspec.structs.replace(LIVE, **changes)))


def nothing() -> None:
    return None


def test_once_writes_the_page_and_returns(run: Path, naps):
    slept = naps(nothing)
    assert pixelwise.watch(run, once=True) == run / "live.html"
    assert (run / "live.html").is_file()
    assert slept == []


def test_the_page_is_rewritten_until_the_run_has_been_over_twice(run: Path, naps):
    write(run)
    page = run / "live.html"
    slept = naps(
        page.unlink,
        lambda: write(run, state="over"),  # between training and scoring
        lambda: write(run, state="scoring"),
        lambda: write(run, state="over"),
        nothing,
    )
    pixelwise.watch(run)
    assert slept == [10] * 5
    assert page.is_file()


def test_ctrl_c_ends_it_quietly(run: Path, naps):
    def interrupt() -> None:
        raise KeyboardInterrupt

    write(run)
    naps(nothing, interrupt)
    assert pixelwise.watch(run) == run / "live.html"


def test_a_port_shows_the_page_of_a_run_that_is_over_too(run: Path, naps):
    said: list[str] = []
    read: list[bytes] = []

    def look() -> None:
        address = said[0].removeprefix("watching ").partition(" ")[0]
        with urllib.request.urlopen(address) as answer:
            read.append(answer.read())
        if len(read) == 3:
            raise KeyboardInterrupt

    naps(look)
    pixelwise.watch(run, port=0, observer=Told(phase=said.append))
    assert read == [(run / "live.html").read_bytes()] * 3


def test_what_cannot_be_watched_is_refused(run: Path, tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        pixelwise.watch(tmp_path / "nowhere")
    assert caught.value.code == "K420"
    for wrong in ({"once": True, "port": 8000}, {"port": 70000}):
        with pytest.raises(RecipeError) as refused:
            pixelwise.watch(run, **wrong)
        assert refused.value.code == "R260"


def test_the_verb_prints_the_page(run_cli: Callable, run: Path):
    code, stdout, stderr = run_cli(["watch", run, "--once"])
    assert (code, stdout.strip()) == (0, str(run / "live.html")), stderr
    code, _, stderr = run_cli(["watch", run, "--once", "--port", "8000"])
    assert code == 2
    assert "--once" in stderr
