import threading
import time
from pathlib import Path

import pytest
from observers import Told
from tracked_runs import begun, ended, remembering, step

from pixelwise.observer import Observer
from pixelwise.records.log import append_log
from pixelwise.records.tracking.marks import mark_file
from pixelwise.training.trackers import following
from pixelwise.training.trackers.following import Followers, send_the_rest
from pixelwise.training.trackers.tracker import TRACKERS, TrackedRun, Tracker, register_tracker


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch):
    """No waiting between two parts, and no tracker that outlasts its test."""
    monkeypatch.setattr(following, "SECONDS", 0.01)
    before = set(TRACKERS)
    yield
    for name in set(TRACKERS) - before:
        TRACKERS.discard(name)


def until(done) -> None:
    """Wait for a thread, at most as long as the test may take."""
    while not done():
        time.sleep(0.01)


def test_nothing_begins_before_something_is_logged(tmp_path: Path):
    mine = remembering()
    register_tracker("mine")(mine)
    followers = Followers(begun(tmp_path), ("mine",), steps=9)
    assert not any(thread.name == "tracker mine" for thread in threading.enumerate())
    append_log(tmp_path, [step(1)])
    followers.wake()
    until(lambda: "step 1" in mine.told)
    append_log(tmp_path, [step(2)])
    until(lambda: "step 2" in mine.told)
    followers.finish()
    followers.finish()
    assert mine.told == ["start 0", "step 1", "step 2", "state stopped", "finish"]
    assert (list(followers.troubles()), followers.places) == ([], ["in the memory"])


def test_several_follow_one_run_and_the_own_log_is_none_of_them(tmp_path: Path):
    first, second = remembering(), remembering()
    register_tracker("first")(first)
    register_tracker("second")(second)
    Followers(ended(tmp_path), ("first", "jsonl", "second", "first")).finish()
    assert first.told == second.told != []
    assert sorted(path.name for path in (tmp_path / "trackers").iterdir()) == ["first.json", "second.json"]


@pytest.mark.parametrize("fails_at", ["start 0", "step 1", "evaluation 2", "picture 2", "file report.html", "finish"])
def test_one_that_fails_is_one_warning_without_secrets_and_the_others_go_on(fails_at: str, tmp_path: Path):
    broken, healthy = remembering(fails_at), remembering()
    register_tracker("broken")(broken)
    register_tracker("healthy")(healthy)
    followers = Followers(ended(tmp_path), ("broken", "healthy"))
    followers.finish()
    ((code, message),) = followers.troubles()
    assert code == "W504"
    assert "'broken'" in message
    assert "OSError: no connection to https://server/" in message
    assert f"pixelwise track {tmp_path} --to broken" in message
    assert broken.told[-1] == fails_at
    assert healthy.told[-2:] == ["state finished", "finish"]


def test_one_that_cannot_be_made_is_a_warning(tmp_path: Path):
    @register_tracker("absent")
    class Absent(Tracker):
        def __init__(self) -> None:
            raise OSError("no connection")

    followers = Followers(ended(tmp_path), ("vanished", "absent"))
    said = list(followers.troubles())
    assert [(code, message.split("'")[1]) for code, message in said] == [("W504", "vanished"), ("W504", "absent")]
    assert "OSError: no connection" in said[1][1]


def test_one_that_calls_for_the_end_of_the_program_does_not_end_it(tmp_path: Path):
    @register_tracker("leaving")
    class Leaving(Tracker):
        def start(self, run: TrackedRun) -> None:
            raise SystemExit(3)

    followers = Followers(ended(tmp_path), ("leaving",))
    followers.finish()
    assert "SystemExit: 3" in next(followers.troubles())[1]


def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path):
    answers = threading.Event()

    @register_tracker("slow")
    class Slow(Tracker):
        def start(self, run: TrackedRun) -> None:
            answers.wait()

    followers = Followers(ended(tmp_path), ("slow",))
    followers.finish(patience=0.05)
    ((code, message),) = followers.troubles()
    assert code == "W530"
    assert f"pixelwise track {tmp_path} --to slow" in message
    answers.set()
    until(lambda: not any(thread.name == "tracker slow" for thread in threading.enumerate()))


def test_the_rest_of_a_run_is_sent_and_its_place_is_said(tmp_path: Path):
    mine = remembering()
    register_tracker("mine")(mine)
    run, said = begun(tmp_path, step(1)), []
    Followers(run, ("mine",)).finish()
    mine.told.clear()
    (run / "report.html").write_text("scored")

    class Noting(Observer):
        def note(self, text: str) -> None:
            said.append(text)

    send_the_rest(run, ("mine",), Noting())
    assert mine.told == ["start 1 number one", "file report.html", "state stopped", "finish"]
    assert said == ["in the memory"]


def test_one_that_was_given_up_is_not_tried_again_after_the_training(tmp_path: Path):
    broken = remembering("step 1")
    register_tracker("broken")(broken)
    run, said = ended(tmp_path), []
    Followers(run, ("broken",)).finish()
    broken.told.clear()
    send_the_rest(run, ("broken",), Told(warn=lambda *what: said.append(what)))
    assert (broken.told, said) == ([], [])
    mark_file(run, "broken").write_text("{")
    send_the_rest(run, ("broken",), Told(warn=lambda *what: said.append(what)))
    assert (broken.told, said) == ([], [])
