import json
from pathlib import Path

import pytest

from pixelwise.records.log import (
    AnyRecord,
    EvaluationRecord,
    FinishedRecord,
    Log,
    PrecisionRecord,
    ProcessesRecord,
    ResumeRecord,
    SkippedRecord,
    StepRecord,
    WarningRecord,
    append_log,
    read_log,
    rewind_log,
)

ALL: list[AnyRecord] = [
    PrecisionRecord(step=0, chosen="float32", milliseconds={"float32 contiguous": 3.5}),
    StepRecord(step=1, epoch=1, loss=2.0, lr=0.5, grad_norm=3.0),
    SkippedRecord(step=2, reason="no labelled pixel", images=("a", "b")),
    WarningRecord(step=2, code="W501", message="m"),
    EvaluationRecord(step=2, split="val", protocol="native", miou=0.25, pixel_accuracy=0.5, per_class_iou=(0.25, None)),
    ResumeRecord(step=2),
    FinishedRecord(step=3, seconds=1.5, peak_memory_bytes=7, skipped=1, void=1, resumes=1),
    ProcessesRecord(step=3, world=4, hosts=2, division="whole", device="cuda"),
]


def test_every_kind_of_record_is_read_as_it_was_written(tmp_path: Path):
    append_log(tmp_path, ALL[:3])
    append_log(tmp_path, ALL[3:])
    log = read_log(tmp_path)
    assert list(log.records) == ALL
    assert log.of(EvaluationRecord) == [ALL[4]]
    assert log.of(StepRecord)[0].lr == 0.5


def test_the_lines_are_those_of_the_first_version(tmp_path: Path):
    append_log(tmp_path, ALL)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert lines[1] == '{"kind":"step","step":1,"epoch":1,"loss":2.0,"lr":0.5,"grad_norm":3.0}'
    assert lines[5] == '{"kind":"resume","step":2}'
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["precision", "step", "skipped", "warning", "evaluation", "resume", "finished", "processes"]


def test_a_score_that_does_not_exist_is_none(tmp_path: Path):
    append_log(tmp_path, [EvaluationRecord(step=1, split="val", protocol="native", miou=float("nan"))])
    assert read_log(tmp_path).of(EvaluationRecord)[0].miou is None


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "step", "st',
        b"\xff\xfe",
        b"[1]",
        b"",
        b'{"kind": "of another version", "step": 1}',
        b'{"kind": "step", "step": 1, "epoch": 1, "loss": null, "lr": 0.1}',
    ],
)
def test_unreadable_lines_are_skipped(line: bytes, tmp_path: Path):
    append_log(tmp_path, ALL[:2])
    with open(tmp_path / "log.jsonl", "ab") as file:
        file.write(line + b"\n")
    append_log(tmp_path, [ResumeRecord(step=1)])
    assert list(read_log(tmp_path).records) == [*ALL[:2], ResumeRecord(step=1)]


def test_fields_of_a_later_version_are_ignored(tmp_path: Path):
    (tmp_path / "log.jsonl").write_text('{"kind": "step", "step": 1, "epoch": 1, "loss": 2, "lr": 1, "later": [1]}\n')
    assert read_log(tmp_path).of(StepRecord) == [StepRecord(step=1, epoch=1, loss=2.0, lr=1.0)]


def test_no_log_is_an_empty_one(tmp_path: Path):
    assert read_log(tmp_path) == Log()
    rewind_log(tmp_path, 0, -1)
    assert not (tmp_path / "log.jsonl").exists()


def test_rewinding_removes_unsaved_records_and_a_half_written_line(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    kept = '{"kind": "step", "step": 1}\n{"kind": "of another version", "step": 1, "x": 2}\n'
    path.write_text(kept + '{"kind": "evaluation", "step": 1}\n{"kind": "step", "step": 2}\n{"kind": "st')
    rewind_log(tmp_path, 1, 0)
    assert path.read_text() == kept
