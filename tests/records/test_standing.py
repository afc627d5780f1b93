from pathlib import Path

import pytest

from pixelwise.records.log import (
    EvaluationRecord,
    FinishedRecord,
    Log,
    Record,
    ResumeRecord,
    SkippedRecord,
    StepRecord,
    WarningRecord,
)
from pixelwise.records.standing import Standing, has_finished, in_words, standing_of


def steps(first: int, last: int) -> list[Record]:
    return [StepRecord(step=step, epoch=1, loss=1.0, lr=0.1) for step in range(first, last + 1)]


def bad(first: int, last: int, reason: str = "loss nan, gradient norm nan") -> list[Record]:
    return [SkippedRecord(step=step, reason=reason) for step in range(first, last + 1)]


DONE = FinishedRecord(step=9, seconds=1.0)
SCORE = EvaluationRecord(step=9, split="val", protocol="native", miou=0.5)
WARNED = WarningRecord(step=9, code="W502", message="early")
CASES = {
    "stopped": ([*steps(1, 5)], 5, 9, "stopped"),
    "killed after its last checkpoint": ([*steps(1, 7)], 5, 9, "stopped"),
    "stopped after an evaluation": ([*steps(1, 9), SCORE], 9, 20, "stopped"),
    "finished": ([*steps(1, 9), SCORE, DONE], 9, 9, "finished"),
    "finished early, out of patience": ([*steps(1, 9), SCORE, WARNED, DONE], 9, 30, "finished"),
    "finished, warned since": ([*steps(1, 9), DONE, WARNED], 9, 9, "finished"),
    "finished, then resumed with more epochs": ([*steps(1, 9), DONE, ResumeRecord(step=9)], 9, 18, "stopped"),
    "finished twice": ([*steps(1, 9), DONE, ResumeRecord(step=9), *steps(10, 18), DONE], 18, 18, "finished"),
    "all steps saved, log cut": ([*steps(1, 9)], 9, 9, "finished"),
    "diverged": ([*steps(1, 4), *bad(5, 9)], 4, 20, "diverged"),
    "four bad steps": ([*steps(1, 4), *bad(5, 8)], 4, 20, "stopped"),
    "steps without labels": ([*steps(1, 4), *bad(5, 9, "no labelled pixel")], 4, 20, "stopped"),
    "nothing saved": ([*steps(1, 2)], None, 20, "stopped"),
    "nothing begun": ([], None, 20, "stopped"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_log_and_the_newest_checkpoint_tell_where_a_run_stands(case: str):
    records, saved, planned, state = CASES[case]
    found = standing_of(Log(tuple(records)), saved=saved, trained=True, steps=planned)
    assert (found.state, found.saved) == (state, saved)
    assert found.unfinished == (state != "finished")
    assert (in_words(found, Path("runs/a")) == "") == (state == "finished")


def test_weights_without_a_training_are_imported():
    found = standing_of(Log(), saved=0, trained=False, steps=20)
    assert (found.state, found.unfinished, in_words(found, Path("w"))) == ("imported", False, "")
    assert standing_of(Log(), saved=3, trained=True, steps=20).state == "stopped"


def test_a_run_that_another_process_trains_is_not_said_to_have_stopped():
    records = Log(tuple(steps(1, 5)))
    assert standing_of(records, saved=5, trained=True, steps=9, held=True).state == "training"
    finished = Log((*steps(1, 9), DONE))
    assert standing_of(finished, saved=9, trained=True, steps=9, held=True).state == "finished"


def test_the_words_name_the_steps_and_the_way_on():
    stopped = Standing(state="stopped", step=22, steps=108, saved=22)
    assert in_words(stopped, Path("runs/a b")) == "stopped at step 22 of 108 - pixelwise resume 'runs/a b'"
    assert "step 22 (saved at step 20) -" in in_words(Standing(state="stopped", step=22, saved=20), Path("r"))
    assert "before anything was saved" in in_words(Standing(state="stopped", step=1, steps=9), Path("r"))
    assert "still being trained: step 22 of 108" in in_words(
        Standing(state="training", step=22, steps=108, saved=22), Path("r")
    )
    diverged = in_words(Standing(state="diverged", step=9, steps=20, saved=4), Path("r"))
    assert "diverged at step 9 of 20 (saved at step 4)" in diverged
    assert "resume" not in diverged


def test_a_run_has_finished_if_that_is_the_last_thing_it_did():
    assert has_finished(Log((*steps(1, 2), DONE)))
    assert not has_finished(Log(()))
    assert not has_finished(Log((DONE, *steps(10, 11))))
