"""One of several processes, run in this one: what it reports, and how it ends."""

from __future__ import annotations

import contextlib
import pickle
import threading
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pixelwise
from pixelwise.api.process import INTERRUPTED, continuing, main
from pixelwise.api.together import Call, Event
from pixelwise.errors import RecipeError, ResourceError
from pixelwise.observer import Observer, TrainingStatus
from pixelwise.ranks.launcher import LOST_OTHERS
from pixelwise.records.exits import write_exit
from pixelwise.training.options import ResumeOptions, TrainOptions

STATUS = TrainingStatus(
    step=1, steps=2, epoch=1, epochs=1, loss=None, lr=0.1, images_per_second=None, data_wait_share=0.0, miou=None,
    best_miou=None,
)  # fmt: skip


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The exit status of a process that calls a function, and the events it sends."""

    def end(function: Any, run: Path | None = None, first: bool = True) -> tuple[int, list[Event]]:
        monkeypatch.setattr(pixelwise, "evaluate", function)
        if not first:
            monkeypatch.setenv("WORLD_SIZE", "2")
            monkeypatch.setenv("RANK", "1")
        events: list[Event] = []
        with Listener(authkey=b"key") as listener:

            def hear() -> None:
                # A process that is not the first one calls nobody, and the listener is closed.
                with contextlib.suppress(EOFError, OSError), listener.accept() as connection:
                    while True:
                        events.append(connection.recv())

            hearing = threading.Thread(target=hear, daemon=True)
            hearing.start()
            call = Call("evaluate", ("a", 2), {"split": "val"}, listener.address, b"key", run)
            (tmp_path / "call").write_bytes(pickle.dumps(call))
            status = main([str(tmp_path / "call")])
            if first:
                hearing.join(timeout=10)
        return status, events

    return end


def test_the_first_process_reports_what_happens_and_what_is_returned(ended: Any):
    def work(*arguments: Any, observer: Observer, **keywords: Any) -> tuple[Any, ...]:
        observer.phase("looking", "bytes")
        observer.progress(1, None)
        observer.step(STATUS)
        observer.warn("W1", "odd")
        return arguments, keywords

    status, events = ended(work)
    assert status == 0
    assert [(one.name, one.what) for one in events[:-1]] == [
        ("phase", ("looking", "bytes")),
        ("progress", (1, None)),
        ("step", (STATUS,)),
        ("warn", ("W1", "odd")),
    ]
    assert events[-1] == Event("returned", "", (("a", 2), {"split": "val"}))


def test_a_reported_error_is_none_to_the_launcher(ended: Any):
    def work(*_: Any, **__: Any) -> None:
        raise RecipeError("R229", "too many", "fewer")

    status, events = ended(work)
    assert status == 0
    assert [(one.kind, type(one.what), str(one.what)) for one in events] == [
        ("failed", RecipeError, "error[R229]: too many\nhelp: fewer")
    ]


def test_an_error_of_all_is_told_apart_from_that_of_one(ended: Any, tmp_path: Path):
    def work(*_: Any, **__: Any) -> None:
        raise ResourceError("S605", "no memory", "")

    assert ended(work, first=False)[0] == 6
    write_exit(tmp_path, RecipeError("R229", "too many", ""))
    assert ended(work, run=tmp_path, first=False)[0] == 6
    write_exit(tmp_path, ResourceError("S605", "no memory", ""))
    assert ended(work, run=tmp_path, first=False)[0] == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), INTERRUPTED),
        (RuntimeError("[/x/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer"), LOST_OTHERS),
    ],
)
def test_who_was_interrupted_or_left_alone_says_nothing(ended: Any, error: BaseException, status: int):
    def work(*_: Any, **__: Any) -> None:
        raise error

    assert ended(work) == (status, [])


def test_any_other_error_is_shown(ended: Any):
    def work(*_: Any, **__: Any) -> None:
        raise RuntimeError("a shape")

    with pytest.raises(RuntimeError, match="a shape"):
        ended(work)


def call(function: str, run: Path | None) -> Call:
    options = TrainOptions(evaluate=False, epochs=7)
    return Call(function, ("unet", None, run), {"options": options}, address="", key=b"", run=run)


@pytest.mark.parametrize(("function", "begun"), [("train", False), ("resume", True), ("evaluate", True)])
def test_a_call_that_is_carried_out_as_it_is(function: str, begun: bool, tiny_run: Path, tmp_path: Path):
    asked = call(function, tiny_run if begun else tmp_path)
    assert continuing(asked) is asked


def test_a_training_that_earlier_processes_have_begun_goes_on(tiny_run: Path):
    asked = call("train", tiny_run)
    expected = msgspec.structs.replace(
        asked, function="resume", arguments=(tiny_run,), keywords={"options": ResumeOptions(evaluate=False)}
    )
    assert continuing(asked) == expected
