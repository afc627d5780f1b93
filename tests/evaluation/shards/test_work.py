from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation.shards.subjects import grey_subject, opened, random_pairs

from pixelwise.errors import DataError
from pixelwise.evaluation.shards import work
from pixelwise.evaluation.shards.receipts import ScoredUnit
from pixelwise.evaluation.shards.work import Found, Scorer, evaluate_shard
from pixelwise.prediction.receipts.created import PATIENCE


def ids(*rows: str) -> np.ndarray:
    return np.array([[255 if character == "." else int(character) for character in row] for row in rows], np.uint8)


PAIRS = [(ids("0011", "0012"), ids("0021", "00.2")), (ids("0000", "1111"), ids("0000", "1111"))]


def without_time(found: ScoredUnit | None) -> object:
    assert found is not None
    return found.unit, found.counted, found.thumbnails


def test_a_unit_becomes_a_receipt_with_counts_by_hand(tmp_path: Path):
    job, scorer, receipts, (unit,) = opened(grey_subject(tmp_path, PAIRS), tmp_path / "out")

    brief = evaluate_shard(unit, scorer, receipts, job)

    assert (brief.unit, brief.images, brief.problems) == (unit.name, 2, ())
    receipt = receipts.receipt(unit.name)
    assert receipt is not None
    first, second = receipt.counted[0].images
    # Label, prediction, pixels. The rows are 0021 and 00.2, seen as 0011 and 0012.
    assert (first.index, first.id, first.cells) == (0, "image-00", ((0, 0, 4), (1, 1, 1), (2, 1, 1), (2, 2, 1)))
    assert second.cells == ((0, 0, 4), (1, 1, 4))
    assert [name for name, _ in receipt.thumbnails] == ["000000.webp", "000001.webp"]
    assert not list((tmp_path / "out" / "attempts").rglob("*.*"))


def test_a_unit_that_is_done_is_not_scored_again_and_of_two_workers_one_counts(tmp_path: Path):
    subject = grey_subject(tmp_path, PAIRS)
    job, scorer, receipts, (unit,) = opened(subject, tmp_path / "out")
    slower = scorer.score(unit)  # a worker that is believed dead
    evaluate_shard(unit, scorer, receipts, job)
    first = receipts.receipt(unit.name)
    assert isinstance(slower, ScoredUnit)
    assert receipts.commit(slower, 1) == first
    subject.dataset.samples("val")[0].image_path.unlink()
    assert evaluate_shard(unit, scorer, receipts, job).problems == ()


def test_bad_images_are_rows_and_leave_the_unit_undone(tmp_path: Path):
    subject = grey_subject(tmp_path, [*PAIRS, *PAIRS])
    for place in (0, 3):
        subject.dataset.samples("val")[place].image_path.write_bytes(b"no image")
    job, scorer, receipts, (unit,) = opened(subject, tmp_path / "out")

    brief = evaluate_shard(unit, scorer, receipts, job)

    assert [(Path(problem.file).name, problem.code) for problem in brief.problems] == [
        ("image-00.png", "D102"),
        ("image-03.png", "D102"),
    ]
    assert receipts.done() == set()
    assert receipts.attempt(unit.name) == 1  # none of the attempts was one at which a worker died


def test_images_one_by_one_are_those_of_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    subject = grey_subject(tmp_path, random_pairs(4))
    job, scorer, receipts, (unit,) = opened(subject, tmp_path / "out")
    whole = scorer.score(unit)
    assert isinstance(whole, ScoredUnit)

    def by_processes(places: range, do: object, kind: type[Found], folder: Path) -> dict[int, Found]:
        return dict(enumerate(Scorer(subject, job.options).score_each(places)))

    monkeypatch.setattr(work, "by_processes", by_processes)
    for _ in range(PATIENCE):
        receipts.attempt(unit.name)
    evaluate_shard(unit, scorer, receipts, job)
    assert without_time(receipts.receipt(unit.name)) == without_time(whole)

    subject.dataset.samples("val")[1].image_path.write_bytes(b"no image")
    found = list(scorer.score_each(unit.places))
    assert [one.problem and one.problem.code for one in found] == [None, "D102", None, None]
    assert [one.thumbnail and one.thumbnail[0] for one in found] == ["000000.webp", None, "000002.webp", "000003.webp"]


def test_an_image_that_ends_the_process_is_named_and_tried_carefully_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job, scorer, receipts, (unit,) = opened(grey_subject(tmp_path, PAIRS), tmp_path / "out")
    monkeypatch.setattr(work, "by_processes", lambda places, *_: {0: next(iter(scorer.score_each(range(1))))})
    for _ in range(PATIENCE):
        receipts.attempt(unit.name)
    (problem,) = evaluate_shard(unit, scorer, receipts, job).problems
    assert (Path(problem.file).name, problem.code) == ("image-01.png", "D136")
    assert receipts.attempt(unit.name) > PATIENCE


def test_changed_data_is_refused(tmp_path: Path):
    subject = grey_subject(tmp_path, PAIRS)
    job, scorer, receipts, (unit,) = opened(subject, tmp_path / "out")
    subject.dataset.samples("val")[1].image_path.write_bytes(b"another")
    with pytest.raises(DataError) as caught:
        evaluate_shard(unit, scorer, receipts, job)
    assert caught.value.code == "D271"
