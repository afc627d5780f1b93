from __future__ import annotations

from pathlib import Path

import pytest
from observers import Told

from pixelwise.errors import DataError
from pixelwise.observer import SILENT
from pixelwise.prediction.receipts.ledger import Facts
from pixelwise.prediction.receipts.summaries import Record
from pixelwise.records.problems import Problem

ERROR = DataError("D101", "a.png: damaged", "copy it again")


def test_errors_are_written_at_once_and_counted():
    written: list[Problem] = []
    record = Record(strict=False, write=written.append)
    record.problem("a.png", ERROR)
    assert [problem.code for problem in written] == ["D101"]
    record.failed(written[0])
    assert record.failures == 2
    summary = record.summary(5, 1, [], Told())
    assert (summary.ok, summary.kept, summary.failed, len(summary.problems)) == (3, 1, 2, 2)


def test_a_strict_record_raises_the_first_error():
    record = Record(strict=True, write=lambda problem: None)
    with pytest.raises(DataError, match=r"a\.png"):
        record.problem("a.png", ERROR)


def test_what_is_to_be_said_of_images_is_one_warning_of_each_kind():
    record = Record(strict=False, write=lambda problem: None)
    for name in ("a.gif", "b.gif"):
        record.note(name, Facts(animated=True))
    record.note("c.tif", Facts(lost="it was turned"))
    record.note("d.png", Facts())
    found = record.summary(4, 0, [], Told()).warnings
    assert [(one.code, one.total) for one in found] == [("W107", 2), ("W160", 1)]


def test_what_is_said_of_videos_is_grouped_by_kind():
    record = Record(strict=False, write=lambda problem: None, videos="install PyAV")
    record.note("a.mp4", Facts(frames=3, remarks=(("W281", "1 s of 2 s"),)))
    record.note("b.mp4", Facts(frames=4, remarks=(("W281", "2 s of 3 s"), ("W285", "no room"))))
    summary = record.summary(3, 0, [Path("c.mov"), Path("notes.heic")], SILENT)
    assert (summary.videos, summary.frames) == (2, 7)
    assert [(one.code, one.files) for one in summary.warnings] == [
        ("W215", ("notes.heic",)), ("W280", ("c.mov",)), ("W281", ("a.mp4", "b.mp4")), ("W285", ("b.mp4",)),
    ]  # fmt: skip
    assert summary.warnings[1].fix == "install PyAV"
    assert summary.warnings[2].message.endswith("e.g. a.mp4: 1 s of 2 s")
