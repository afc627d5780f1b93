import os
from pathlib import Path

import pytest
from tracked_runs import evaluation, rewound, step

from pixelwise.errors import DataError
from pixelwise.records.log import WarningRecord, append_log
from pixelwise.records.tracking import log_reader
from pixelwise.records.tracking.log_reader import LogReader


def positions(reader: LogReader) -> list[tuple[str, int, int]]:
    return [(entry.kind, entry.position.step, entry.position.number) for entry in reader.read()]


def test_each_call_gives_what_was_added(tmp_path: Path):
    reader = LogReader(tmp_path)
    assert reader.read() == []
    append_log(tmp_path, [step(1), step(2), evaluation(2)])
    assert positions(reader) == [("step", 1, 0), ("step", 2, 0), ("evaluation", 2, 0)]
    assert reader.read() == []
    append_log(tmp_path, [step(3)])
    assert [entry.record for entry in reader.read()] == [step(3)]


def test_records_of_one_kind_and_step_are_numbered_and_an_earlier_step_is_no_earlier_position(tmp_path: Path):
    warnings = [WarningRecord(step=number, code="W501", message="x") for number in (4, 4, 2, 5)]
    append_log(tmp_path, warnings)
    assert positions(LogReader(tmp_path)) == [
        ("warning", 4, 0),
        ("warning", 4, 1),
        ("warning", 4, 2),
        ("warning", 5, 0),
    ]


def test_a_line_is_read_when_it_has_ended_and_one_that_is_no_record_is_skipped(tmp_path: Path):
    reader = LogReader(tmp_path)
    (tmp_path / "log.jsonl").write_bytes(b'{"kind":"resume","step":1}\n\xff{\n{"kind":"resume",')
    assert positions(reader) == [("resume", 1, 0)]
    with open(tmp_path / "log.jsonl", "ab") as file:
        file.write(b'"step":2}\n')
    assert positions(reader) == [("resume", 2, 0)]


def test_a_log_that_was_rewound_is_read_from_its_beginning(tmp_path: Path):
    reader = LogReader(tmp_path)
    append_log(tmp_path, [step(1), step(2), step(3)])
    assert len(reader.read()) == 3
    rewound(tmp_path, step(1), step(2))
    append_log(tmp_path, [step(3), step(4), step(5)])  # longer than before
    assert positions(reader) == [("step", number, 0) for number in (1, 2, 3, 4, 5)]


def test_a_large_log_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_reader, "LARGEST_PART", 200)
    append_log(tmp_path, [step(number) for number in range(1, 9)])
    reader, found = LogReader(tmp_path), []
    while part := reader.read():
        assert len(part) < 8
        found += part
    assert [entry.record.step for entry in found] == list(range(1, 9))


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises(DataError, match="not a regular file"):
        LogReader(tmp_path).read()
