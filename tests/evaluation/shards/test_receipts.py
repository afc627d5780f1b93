from __future__ import annotations

from pathlib import Path

from pixelwise.evaluation.shards.receipts import BadUnit, Receipts, ScoredUnit
from pixelwise.evaluation.shards.states import Counted
from pixelwise.records.problems import Problem


def unit(name: str, seconds: float = 1.0) -> ScoredUnit:
    return ScoredUnit(unit=name, counted=(Counted(images=()),), seconds=seconds, peak_memory_bytes=1)


def bad(name: str, code: str) -> BadUnit:
    problem = Problem(file="a.png", code=code, message="m", help="h")
    return BadUnit(unit=name, images=2, problems=(problem,))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_of_two_workers_the_first_counts(tmp_path: Path):
    receipts = Receipts(tmp_path, "job")
    assert receipts.attempt("u") == 1
    assert receipts.commit(unit("u", 1.0), 1) == unit("u", 1.0)
    assert receipts.commit(unit("u", 2.0), 1) == unit("u", 1.0)
    assert files(tmp_path) == ["receipts/job/u.json"]


def test_a_damaged_receipt_does_not_count(tmp_path: Path):
    receipts = Receipts(tmp_path, "job")
    receipts.commit(unit("u", 1.0), 0)
    (tmp_path / "receipts" / "job" / "u.json").write_bytes(b"{")
    assert Receipts(tmp_path, "job").commit(unit("u", 2.0), 0) == unit("u", 2.0)


def test_a_bad_unit_is_listed_until_it_is_done(tmp_path: Path):
    receipts = Receipts(tmp_path, "job")
    receipts.attempt("u")
    receipts.note_bad(bad("u", "D102"), 1)
    assert files(tmp_path) == ["problems/job/u.json"]
    assert receipts.done() == set()
    receipts.attempt("u")
    receipts.note_bad(bad("u", "D136"), 1)  # the notes of attempts stay
    assert files(tmp_path) == ["attempts/job/u.1", "problems/job/u.json"]
    receipts.commit(unit("u"), 1)
    assert files(tmp_path) == ["receipts/job/u.json"]


def test_tidying_leaves_the_receipts_of_these_images_and_of_other_jobs(tmp_path: Path):
    other, receipts = Receipts(tmp_path, "other"), Receipts(tmp_path, "job")
    other.commit(unit("old"), 0)
    for name in ("old", "u"):
        receipts.commit(unit(name), 0)
    receipts.attempt("old")
    receipts.note_bad(bad("old", "D102"), 0)
    receipts.tidy({"u"})
    assert files(tmp_path) == ["receipts/job/u.json", "receipts/other/old.json"]
