from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from reports.two_classes import with_foreground_first, write_two_class_run

from pixelwise.records.details import SavedSamples, load_samples
from pixelwise.records.result import Result, load_result
from pixelwise.reports.run.errors import foreground_of
from pixelwise.reports.run.thresholds import best_threshold, scores_at, thresholds_of


def levels(**pixels: int) -> list[int]:
    return [pixels.get(f"at{level}", 0) for level in range(100)]


def scored(folder: Path, **options: bool) -> tuple[Result, SavedSamples]:
    write_two_class_run(folder / "run", **options)  # type: ignore[arg-type]
    (evaluation,) = (folder / "run" / "evaluations").iterdir()
    saved = load_samples(evaluation / "samples")
    assert saved is not None
    return load_result(evaluation), saved


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, SavedSamples]:
    return scored(tmp_path_factory.mktemp("two"))


def test_scores_by_hand():
    labelled, other = levels(at30=2, at60=6), levels(at10=10, at40=1, at70=1)
    assert scores_at(50, labelled, other) == (6 / 9, 6 / 7, 6 / 8)
    assert scores_at(20, labelled, other) == (8 / 10, 8 / 10, 1.0)
    assert best_threshold(labelled, other) == 30
    assert scores_at(99, labelled, other) == (0.0, None, 0.0)


def test_without_labels_or_predictions_nothing_is_defined():
    assert scores_at(50, levels(), levels()) == (None, None, None)
    assert best_threshold(levels(), levels()) == 50


def test_half_is_the_score_and_the_best_threshold_is_where_the_labels_begin(two: tuple[Result, SavedSamples]):
    result, saved = two
    found = thresholds_of(result, saved, foreground_of(result))
    assert found is not None
    (row,) = found.rows
    assert (row.name, row.iou) == ("crack", f"{100 * result.per_class[1].iou:.2f}")
    assert abs(int(row.best) - 35) <= 1
    assert float(row.best_iou) > 97
    assert (found.counted, found.whole) == ("all 3 images", True)
    (plain,) = json.loads(found.data)["classes"]
    assert (plain["id"], len(plain["labelled"]), sum(plain["labelled"])) == (1, 100, result.per_class[1].pixels)


def test_the_class_in_question_may_be_the_first(two: tuple[Result, SavedSamples]):
    result = with_foreground_first(two[0])
    found = thresholds_of(result, two[1], foreground_of(result))
    assert found is not None
    (row,) = found.rows
    assert (row.name, row.iou) == ("crack", f"{100 * result.per_class[0].iou:.2f}")
    assert abs(int(row.best) - 65) <= 1


def test_every_class_of_multilabel_data_has_a_row(tmp_path: Path):
    result, saved = scored(tmp_path, multilabel=True)
    found = thresholds_of(result, saved, None)
    assert found is not None
    assert [row.name for row in found.rows] == ["crack", "rust"]
    assert [row.iou for row in found.rows] == [f"{100 * entry.iou:.2f}" for entry in result.per_class]
    assert all(abs(int(row.best) - 35) <= 1 for row in found.rows)


def test_some_of_many_images_are_said_to_be_some(two: tuple[Result, SavedSamples]):
    result = msgspec.structs.replace(two[0], images=1000)
    found = thresholds_of(result, two[1], 1)
    assert found is not None
    assert (found.counted, found.whole) == ("3 of 1\u202f000 images", False)


def test_without_probabilities_there_is_nothing(two: tuple[Result, SavedSamples]):
    result, saved = two
    bare = tuple(msgspec.structs.replace(sample, levels=()) for sample in saved.samples)
    assert thresholds_of(result, msgspec.structs.replace(saved, samples=bare), 1) is None
    assert thresholds_of(result, None, 1) is None
    wrong = (msgspec.structs.replace(saved.samples[0].levels[0], labelled=(1, 2)),)
    damaged = tuple(msgspec.structs.replace(sample, levels=wrong) for sample in saved.samples)
    assert thresholds_of(result, msgspec.structs.replace(saved, samples=damaged), 1) is None
