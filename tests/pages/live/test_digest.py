from hypothesis import given
from hypothesis import strategies as st
from reports.live.scenes import running

from pixelwise.pages.live.digest import Digest
from pixelwise.records.log import (
    NO_LABELS,
    EvaluationRecord,
    FinishedRecord,
    Log,
    ResumeRecord,
    SkippedRecord,
    StepRecord,
    WarningRecord,
)
from pixelwise.records.standing import has_finished
from pixelwise.reports.live.notes import notes
from pixelwise.reports.live.page import facts_of, share_of

kinds = st.sampled_from(["step", "step", "evaluation", "evaluation", "undefined", "nan", "void", "resume", "end"])


def record(kind: str, step: int, value: int):
    if kind in ("evaluation", "undefined"):
        miou = value / 10 if kind == "evaluation" else None
        return EvaluationRecord(step=step, split="val", protocol="native", miou=miou, per_class_iou=(miou, 0.5))
    return {
        "step": StepRecord(step=step, epoch=1, loss=value, lr=0.1, grad_norm=value if value % 2 else None),
        "nan": SkippedRecord(step=step, reason="the loss is not finite", images=("a",) * 1000),
        "void": SkippedRecord(step=step, reason=NO_LABELS),
        "resume": ResumeRecord(step=step),
        "end": FinishedRecord(step=step, seconds=1.0),
    }[kind]


@given(st.lists(st.tuples(kinds, st.integers(0, 10)), max_size=60))
def test_the_short_log_says_the_same_as_the_whole(rows: list[tuple[str, int]]):
    whole = Log(tuple(record(kind, step, value) for step, (kind, value) in enumerate(rows, 1)))
    digest = Digest()
    for one in whole.records:
        digest.add(one)
    short, status = digest.log(), running()
    assert has_finished(short) == has_finished(whole)
    assert facts_of(short, status, True) == facts_of(whole, status, True)
    assert share_of(short, status) == share_of(whole, status)
    noted = notes(short, status, live=True) + ([digest.note()] if digest.note() else [])
    assert sorted(noted) == sorted(notes(whole, status, live=True))


def test_what_is_kept_does_not_grow_with_the_log():
    digest = Digest()
    for step in range(1, 5001):
        digest.add(record("step", step, step))
        digest.add(record("evaluation", step, step % 10))
        digest.add(record("nan", step, 1))
        digest.add(WarningRecord(step=step, code="W500", message="again"))
    assert (len(digest.steps.curve().points), digest.steps.curve().size) == (1250, 4)
    assert (len(digest.evaluations.curve().points), digest.evaluations.curve().size) == (314, 16)
    assert (len(digest.recent), len(digest.warnings), len(digest.log().records)) == (12, 50, 15)
    assert "5000 steps, the last one 5000" in digest.note().text


def test_other_classes_begin_another_curve():
    digest = Digest()
    digest.add(record("evaluation", 1, 5))
    digest.add(EvaluationRecord(step=2, split="val", protocol="native", miou=0.25, per_class_iou=(0.25,)))
    assert digest.evaluations.curve().points == ((2, 25.0, 25.0),)
    assert digest.beginnings == 2
