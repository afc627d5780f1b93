from __future__ import annotations

import csv
from pathlib import Path

from pixelwise.records.log import EvaluationRecord, ResumeRecord, StepRecord, append_log
from pixelwise.records.log_table import TABLE, append_table, write_table

CLASSES = ("=road", "car")
STEPS = (
    StepRecord(step=1, epoch=1, loss=0.5, lr=0.25, grad_norm=2.0),
    ResumeRecord(step=1),
    StepRecord(step=2, epoch=1, loss=0.25, lr=0.125),
)
EVALUATION = EvaluationRecord(
    step=2, split="val", protocol="native", miou=0.5, pixel_accuracy=None, per_class_iou=(0.75, None)
)
LINES = [
    "step,epoch,loss,lr,grad_norm,split,miou,pixel_accuracy,iou =road,iou car",
    "1,1,0.5,0.25,2.0,,,,,",
    "2,1,0.25,0.125,,,,,,",
    "2,,,,,val,0.5,,0.75,",
]


def lines(run: Path) -> list[str]:
    return (run / TABLE).read_text("utf-8").splitlines()


def test_a_table_has_a_row_for_each_step_and_evaluation(tmp_path: Path):
    append_log(tmp_path, [*STEPS, EVALUATION])
    write_table(tmp_path, CLASSES)
    assert lines(tmp_path) == LINES


def test_appended_rows_are_those_of_the_whole_log(tmp_path: Path):
    write_table(tmp_path, CLASSES)
    append_table(tmp_path, STEPS, CLASSES)
    append_table(tmp_path, [ResumeRecord(step=2)], CLASSES)
    append_table(tmp_path, [EVALUATION], CLASSES)
    assert lines(tmp_path) == LINES


def test_every_row_is_as_long_as_the_header_whatever_was_recorded(tmp_path: Path):
    # A network of one class more than are named, and one of older versions that recorded no IoU.
    for ious in ((), (0.1, 0.2, 0.3)):
        append_log(tmp_path, [EvaluationRecord(step=3, split="a,b", protocol="x", miou=None, per_class_iou=ious)])
    write_table(tmp_path, CLASSES)
    assert {len(row) for row in csv.reader(lines(tmp_path))} == {10}
