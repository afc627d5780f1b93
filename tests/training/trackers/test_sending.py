import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tracked_runs import begun, ended, remembering, step

import pixelwise
from pixelwise.errors import CheckpointError, RecipeError, ResourceError, RunLockedError
from pixelwise.machine.processes import process_mark
from pixelwise.records.log import FinishedRecord, append_log
from pixelwise.records.status import STATUS, RunStatus
from pixelwise.storage import json_text
from pixelwise.training.trackers import sending
from pixelwise.training.trackers.feeding import Feeder
from pixelwise.training.trackers.sending import Sent
from pixelwise.training.trackers.tracker import TRACKERS, register_tracker


@pytest.fixture
def told():
    """A tracker `mine`, and what it is told."""
    tracker = remembering()
    register_tracker("mine")(tracker)
    yield tracker.told
    TRACKERS.discard("mine")


def test_runs_are_sent_one_after_the_other_and_what_is_new_is_counted(tmp_path: Path, told: list[str]):
    first, second = ended(tmp_path / "first"), begun(tmp_path / "second", step(1))
    expected = {"tracker": "mine", "tracked": "number one", "where": "in the memory"}
    assert pixelwise.track([first, second], to="mine") == [
        Sent(run=first, records=7, **expected), Sent(run=second, records=1, **expected),
    ]  # fmt: skip
    assert [one for one in told if one.startswith(("start", "state"))] == [
        "start 0", "state finished", "start 0", "state stopped",
    ]  # fmt: skip
    assert [one.records for one in pixelwise.track(str(first), to=["mine"])] == [0]


def test_a_run_that_is_trained_is_followed_to_its_end(tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch):
    run = begun(tmp_path / "first", step(1))
    live = RunStatus(state="training", process=process_mark())
    (run / STATUS).write_text(json_text(live))
    coming = [
        lambda: append_log(run, [step(2)]),
        lambda: append_log(run, [step(3), FinishedRecord(step=3, seconds=1.0)]),
        lambda: (run / STATUS).write_text(json_text(RunStatus())),
    ]
    monkeypatch.setattr(sending.time, "sleep", lambda seconds: coming.pop(0)())
    (sent,) = pixelwise.track(run, to="mine", follow=True)
    assert (sent.records, coming) == (4, [])
    assert told == ["start 0", "step 1", "step 2", "step 3", "finished 3", "state finished", "finish"]


def test_a_run_that_is_trained_and_not_followed_is_not_over(tmp_path: Path, told: list[str]):
    run = begun(tmp_path / "first", step(1))
    (run / STATUS).write_text(json_text(RunStatus(state="training", process=process_mark())))
    pixelwise.track(run, to="mine")
    assert told == ["start 0", "step 1", "state training", "finish"]


def test_a_tracker_that_fails_is_an_error_with_a_way_out_which_works(tmp_path: Path):
    run = ended(tmp_path / "first")
    broken, healthy = remembering("step 3"), remembering()
    register_tracker("mine")(broken)
    try:
        with pytest.raises(ResourceError, match=r"first: the tracker 'mine' failed: OSError: no connection") as caught:
            pixelwise.track(run, to="mine")
        assert (caught.value.code, caught.value.exit_code) == ("T510", 6)
        assert "secret" not in str(caught.value)
        TRACKERS.discard("mine")
        register_tracker("mine")(healthy)
        pixelwise.track(run, to="mine")
        assert "finished 4" in healthy.told
    finally:
        TRACKERS.discard("mine")


def test_one_that_fails_does_not_put_the_blame_on_another(tmp_path: Path, told: list[str]):
    register_tracker("broken")(remembering("step 3"))
    run = ended(tmp_path / "first")
    try:
        with pytest.raises(ResourceError, match="'broken'"):
            pixelwise.track(run, to=("mine", "broken"), follow=True)
    finally:
        TRACKERS.discard("broken")
    assert told[-1] == "finish"
    assert '"trouble": ""' in (run / "trackers" / "mine.json").read_text()


def test_what_cannot_be_sent_is_refused_before_anything_is(tmp_path: Path, told: list[str]):
    run = ended(tmp_path / "first")
    for wrong, code in (({"to": ()}, "R260"), ({"to": "jsonl"}, "R260"), ({"to": ("mine", "mime")}, "R270")):
        with pytest.raises(RecipeError) as caught:
            pixelwise.track(run, **wrong)
        assert caught.value.code == code
    with pytest.raises(RecipeError):
        pixelwise.track([], to="mine")
    with pytest.raises(CheckpointError, match="nowhere"):
        pixelwise.track([run, tmp_path / "nowhere"], to="mine")
    assert told == []
    with Feeder("mine", run).opened(), pytest.raises(RunLockedError):
        pixelwise.track(run, to="mine")


def test_the_verb_prints_where_the_runs_are(tmp_path: Path, told: list[str], run_cli: Callable):
    run = ended(tmp_path / "first")
    code, stdout, _ = run_cli(["track", run, "--to", "mine"])
    assert (code, stdout) == (0, f"{run} -> mine: 7 new records\n  in the memory\n")
    code, stdout, _ = run_cli(["track", run, "--to", "mine", "--json"])
    assert json.loads(stdout) == [
        {"run": str(run), "tracker": "mine", "records": 0, "tracked": "number one", "where": "in the memory"}
    ]
    code, _, stderr = run_cli(["track", run])
    assert (code, "error[R260]: --to names no tracker" in stderr) == (2, True)
