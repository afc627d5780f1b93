from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pixelwise.errors import ResourceError
from pixelwise.prediction.receipts.created import CreatedReceipts


class Note(msgspec.Struct, frozen=True):
    number: int


def test_a_receipt_is_written_once_and_by_one_worker(tmp_path: Path):
    one, other = (CreatedReceipts(tmp_path, "job", Note) for _ in range(2))
    assert one.receipt("u") is None
    assert [one.create("u", Note(1)), other.create("u", Note(2))] == [True, False]
    assert other.receipt("u") == Note(1)
    assert one.done() == {"u"}
    assert CreatedReceipts(tmp_path, "other", Note).done() == set()


@pytest.mark.parametrize("content", [b"", b'{"number": 1', b'{"number": "x"}'])
def test_a_damaged_receipt_is_removed(tmp_path: Path, content: bytes):
    receipts = CreatedReceipts(tmp_path, "job", Note)
    receipts.create("u", Note(1))
    (tmp_path / "receipts" / "job" / "u.json").write_bytes(content)
    assert CreatedReceipts(tmp_path, "job", Note).receipt("u") is None
    assert receipts.done() == set()


def test_attempts_are_counted_until_they_are_forgotten(tmp_path: Path):
    receipts = CreatedReceipts(tmp_path, "job", Note)
    assert [receipts.attempt("u") for _ in range(3)] == [1, 2, 3]
    assert receipts.attempt("v") == 1
    receipts.forget_attempts("u", 3)
    assert receipts.attempt("u") == 1


def test_an_output_that_does_not_work_is_named(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError) as caught:
        CreatedReceipts(tmp_path / "file", "job", Note).create("u", Note(1))
    assert caught.value.code == "S611"
