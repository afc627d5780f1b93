"""An evaluation by units leaves what one process leaves, whoever does them, in whatever order, stopped or not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from evaluation.color_model import write_dataset
from evaluation.shards.subjects import left_in, opened, random_pairs, subject_of

from pixelwise.errors import DataError
from pixelwise.evaluation import passes
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.shards import by_units
from pixelwise.evaluation.shards.by_units import score_by_units
from pixelwise.evaluation.shards.work import evaluate_shard
from pixelwise.evaluation.subject import Subject, score
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.result import Result, Unfinished

MEASURED = {"calibration": True, "group": r"\d$"}


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passes, "BLOCK", 1)


@pytest.fixture
def subjects(tmp_path: Path) -> tuple[Subject, Subject]:
    """The same network and data, with two places for results: of one process, and of units."""
    dataset = write_dataset(tmp_path / "data", random_pairs(11))
    return subject_of(dataset, tmp_path / "one"), subject_of(dataset, tmp_path / "parts")


def evaluate(subject: Subject, observer: Observer = SILENT, **changes) -> list[Result] | Unfinished:
    return score_by_units(subject, lambda: subject, EvaluateOptions(**{**MEASURED, **changes}), observer)


def evaluations(subject: Subject) -> dict[str, bytes]:
    assert subject.folder is not None
    return {
        name: content
        for name, content in left_in(subject.folder / "evaluations").items()
        if not name.startswith("receipts/")
    }


def test_parts_of_an_array_leave_what_one_process_leaves(subjects: tuple[Subject, Subject]):
    one, parts = subjects
    (expected,) = score(one, EvaluateOptions(**MEASURED))
    found = [evaluate(parts, shard=f"{number}/3") for number in (2, 0, 1)]

    assert found[:2] == [Unfinished(split="val", done=done, images=11) for done in (3, 7)]
    assert isinstance(found[2], list)
    assert found[2][0].confusion_matrix == expected.confusion_matrix
    assert found[2][0].per_image == expected.per_image
    assert evaluations(parts) == evaluations(one)
    assert evaluate(parts, shard="1/3") != []  # all are done, so any part writes the result again


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_any_workers_gives_the_same(seed: int, subjects: tuple[Subject, Subject], tmp_path: Path):
    one, parts = subjects
    protocols = (PROTOCOLS["native"], PROTOCOLS["camvid-480x360"])
    one, parts = (subject_of(each.dataset, each.folder, protocols=protocols) for each in (one, parts))  # type: ignore[arg-type]
    score(one, EvaluateOptions(**MEASURED))
    order = random.Random(seed)
    workers = [opened(parts, tmp_path / "out", **MEASURED) for _ in range(3)]
    units = workers[0][3] * 2  # each is done twice
    order.shuffle(units)
    for unit in units:
        job, scorer, receipts, _ = order.choice(workers)
        evaluate_shard(unit, scorer, receipts, job)
    evaluate(parts, output=tmp_path / "out")
    assert evaluations(parts) == evaluations(one)
    for folder in sorted((tmp_path / "parts" / "evaluations").iterdir()):
        for file in ("result.json", "per_class.csv", "per_image.csv", "per_image.parquet"):
            assert (tmp_path / "out" / folder.name / file).read_bytes() == (folder / file).read_bytes()


def test_an_evaluation_that_was_stopped_goes_on(subjects: tuple[Subject, Subject]):
    one, parts = subjects
    score(one, EvaluateOptions(**MEASURED))
    told: list[tuple[int, int | None]] = []

    class Stopping(Observer):
        def progress(self, done: int, total: int | None) -> None:
            told.append((done, total))
            if done == 5 and len(told) < 20:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(parts, Stopping(), shard="0/1")
    assert all(name.startswith("attempts/") for name in evaluations(parts))
    told[:] = [(0, 0)] * 20
    evaluate(parts, Stopping(), shard="0/1")
    assert told[20] == (4, 11)  # what was done before: two units of two images
    assert (11, 11) in told
    assert evaluations(parts) == evaluations(one)


def test_other_questions_have_other_receipts(subjects: tuple[Subject, Subject]):
    _, parts = subjects
    evaluate(parts, shard="0/1")
    (result,) = evaluate(parts, shard="0/1", calibration=False)  # type: ignore[misc]
    assert result.calibration == ()
    assert len(list((parts.folder or Path()).glob("evaluations/receipts/*"))) == 2


def test_bad_images_are_all_named_and_there_is_no_result(
    subjects: tuple[Subject, Subject], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(by_units, "SHOWN", 2)
    one, parts = subjects
    samples = parts.dataset.samples("val")
    kept = {number: samples[number].image_path.read_bytes() for number in (1, 4, 9)}
    for number in kept:
        samples[number].image_path.write_bytes(b"no image")

    with pytest.raises(DataError) as caught:
        evaluate(parts, shard="0/1")
    assert caught.value.code == "D137"
    assert "3 images cannot be scored" in caught.value.message
    assert "image-01.png (D102)" in caught.value.message
    assert "image-04.png (D102) and 1 more" in caught.value.message
    assert all(name.startswith("problems/") for name in evaluations(parts))
    with pytest.raises(DataError, match=r"1 image cannot .*image-09\.png \(D102\)\."):
        evaluate(parts, shard="2/3")  # a part is told of its own images alone

    for number, content in kept.items():
        samples[number].image_path.write_bytes(content)
    evaluate(parts, shard="0/1")
    score(one, EvaluateOptions(**MEASURED))
    assert evaluations(parts) == evaluations(one)
