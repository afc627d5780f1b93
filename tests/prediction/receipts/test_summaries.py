from __future__ import annotations

import pytest
from observers import Told

from pixelwise.errors import DataError
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
