import json
from pathlib import Path

import pytest
from tracked_runs import begun, ended, evaluation, remembering, rewound, step

from pixelwise.errors import PixelwiseError, RunLockedError
from pixelwise.records.log import FinishedRecord, ResumeRecord, append_log
from pixelwise.records.status import STATUS, Pace, RunStatus
from pixelwise.records.tracking.marks import mark_file, read_mark
from pixelwise.storage import json_text
from pixelwise.training.trackers.feeding import Feeder
from pixelwise.training.trackers.tracker import TRACKERS, register_tracker


@pytest.fixture
def told():
    """A tracker `mine`, and what it is told."""
    tracker = remembering()
    register_tracker("mine")(tracker)
    yield tracker.told
    TRACKERS.discard("mine")


def sent(run: Path, told: list[str], *, over: bool = True, new: bool = False) -> list[str]:
    """What the tracker is told when the run is sent."""
    told.clear()
    with Feeder("mine", run, new=new).opened() as feeder:
        feeder.feed()
        feeder.conclude(over=over)
    return list(told)


def test_a_whole_run_is_told_in_its_order(tmp_path: Path, told: list[str]):
    assert sent(ended(tmp_path), told) == [
        "start 0", "step 1", "step 2", "evaluation 2", "step 3", "step 4", "evaluation 4", "finished 4",
        "pace 2", "pace 4", "picture 2", "picture 4", "result val-native", "file evaluations/val-native/result.json",
        "file report.html", "state finished", "finish",
    ]  # fmt: skip


def test_nothing_is_told_twice_and_what_is_new_is(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    sent(run, told)
    assert sent(run, told) == ["start 4 number one", "state finished", "finish"]
    (run / "report.html").write_text("another")
    append_log(run, [ResumeRecord(step=4), step(5)])
    assert sent(run, told) == [
        "start 4 number one", "resume 4", "step 5", "file report.html", "state stopped", "finish",
    ]  # fmt: skip


def test_a_run_that_is_followed_while_it_grows_is_told_as_one_that_is_sent_later(tmp_path: Path, told: list[str]):
    whole = [step(1), step(2), evaluation(2), step(3), step(4), FinishedRecord(step=4, seconds=1.0)]
    sent_later = sent(begun(tmp_path / "later", *whole), told)
    told.clear()
    run = begun(tmp_path / "live")
    with Feeder("mine", run).opened() as feeder:
        for record in whole:
            append_log(run, [record])
            assert feeder.feed() == 1
        assert feeder.feed() == 0
        feeder.conclude(over=True)
    assert told == sent_later
    assert feeder.count == 6


def test_steps_that_a_resumed_run_repeats_are_not_doubled(tmp_path: Path, told: list[str]):
    run = begun(tmp_path, step(1), step(2), evaluation(2), step(3))
    assert sent(run, told)[-3:] == ["step 3", "state stopped", "finish"]
    rewound(run, step(1), step(2), evaluation(2))  # the checkpoint was that of step 2
    append_log(run, [ResumeRecord(step=2), step(3), step(4), evaluation(4), FinishedRecord(step=4, seconds=1.0)])
    assert sent(run, told) == [
        "start 3 number one", "resume 2", "step 4", "evaluation 4", "finished 4", "state finished", "finish",
    ]  # fmt: skip


def test_a_log_that_is_rewound_while_it_is_followed_is_not_told_again(tmp_path: Path, told: list[str]):
    run = begun(tmp_path, step(1), step(2), step(3))
    with Feeder("mine", run).opened() as feeder:
        feeder.feed()
        rewound(run, step(1))
        append_log(run, [step(2), step(3), step(4)])
        feeder.feed()
    assert [one for one in told if one.startswith("step")] == ["step 1", "step 2", "step 3", "step 4"]


def test_a_new_tracked_run_is_told_everything(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    whole = sent(run, told)
    assert sent(run, told, new=True) == whole


def test_in_another_place_the_run_is_a_new_one(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    whole = sent(run, told)
    TRACKERS["mine"].place = lambda self: "https://me:secret@other/?token=1"  # type: ignore[method-assign]
    assert sent(run, told) == whole
    assert read_mark(run, "mine").place == "https://other/"
    assert sent(run, told)[0] == "start 4 number one"


def test_a_failure_is_noted_without_secrets_and_what_was_not_told_is_told_later(tmp_path: Path):
    run = ended(tmp_path)
    register_tracker("mine")(remembering("evaluation 2"))
    try:
        with pytest.raises(OSError, match="no connection"), Feeder("mine", run).opened() as feeder:
            feeder.feed()
        assert read_mark(run, "mine").trouble == "OSError: no connection to https://server/"
        assert "secret" not in mark_file(run, "mine").read_text()
    finally:
        TRACKERS.discard("mine")
    healthy = remembering()
    register_tracker("mine")(healthy)
    try:
        assert sent(run, healthy.told)[:4] == ["start 0 number one", "step 1", "step 2", "evaluation 2"]
        assert read_mark(run, "mine").trouble == ""
    finally:
        TRACKERS.discard("mine")


def test_two_processes_do_not_send_a_run_to_the_same_tracker(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    with Feeder("mine", run).opened(), pytest.raises(RunLockedError), Feeder("mine", run).opened():
        pass
    assert told == ["start 0", "finish"]


def test_a_damaged_mark_stays_as_it_is(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    mark_file(run, "mine").parent.mkdir()
    mark_file(run, "mine").write_text("{")
    with pytest.raises(PixelwiseError), Feeder("mine", run).opened():
        pass
    assert (mark_file(run, "mine").read_text(), told) == ("{", [])


def test_paces_that_were_thinned_out_since_are_not_told_again(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    sent(run, told)
    paces = [Pace(step=number, seconds=number) for number in (2, 4, 6)]
    (run / STATUS).write_text(json_text(RunStatus(paces=tuple(paces))))
    assert "pace 6" in sent(run, told)
    assert [one for one in told if one.startswith("pace")] == ["pace 6"]


def test_a_run_that_is_being_trained_says_so(tmp_path: Path, told: list[str]):
    assert sent(begun(tmp_path, step(1)), told, over=False)[-2:] == ["state training", "finish"]


def test_a_missing_picture_is_left_out(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    (run / "pictures" / "layer-4.webp").unlink()
    assert [one for one in sent(run, told) if one.startswith("picture")] == ["picture 2"]


def test_the_mark_names_what_was_sent(tmp_path: Path, told: list[str]):
    run = ended(tmp_path)
    sent(run, told)
    plain = json.loads(mark_file(run, "mine").read_text())
    assert plain["sent"]["step"] == [4, 0]
    assert plain["tracked"] == "number one"
    assert sorted(plain["files"]) == ["evaluations/val-native/result.json", "report.html"]
