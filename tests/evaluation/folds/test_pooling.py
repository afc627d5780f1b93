from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from scipy import stats

from pixelwise.evaluation.folds.pooling import interval_of_mean, joint_score, pooled_result
from pixelwise.records.details import ClassPixels, ConfusedPixels, ImageDetails, load_details, save_details
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import Result, TrainingCost, save_result
from pixelwise.records.scores import BinaryCounts, CalibrationBin
from tests.results import class_result, miniature


def test_the_interval_of_a_mean_is_that_of_scipy():
    values = [0.61, 0.66, 0.58, 0.7, 0.64]
    error = stats.sem(values)
    assert interval_of_mean(values) == pytest.approx(stats.t.interval(0.95, 4, sum(values) / 5, error))


def fold(folder: Path, matrix: list[list[int]], per_image: list[list[tuple[int, int, int]]]) -> Result:
    pixels = sum(map(sum, matrix))
    result = miniature(
        miou=matrix[0][0] / max(1, sum(matrix[0])),
        per_class=(class_result("grass", 0.5), class_result("path", 0.5)),
        pixel_accuracy=(matrix[0][0] + matrix[1][1]) / pixels,
        confusion_matrix=tuple(map(tuple, matrix)),
        own_data=True,
    )
    place = evaluation_folder(folder, result.split, result.protocol)
    details = [
        ImageDetails(id=str(number), confusion=tuple(ConfusedPixels(*cell) for cell in cells))
        for number, cells in enumerate(per_image)
    ]
    save_result(result, (), place)
    save_details(details, place)
    return result


def test_the_joint_score_is_that_of_one_confusion_matrix(tmp_path: Path):
    runs = [tmp_path / "fold-0", tmp_path / "fold-1"]
    first = fold(runs[0], [[6, 2], [0, 4]], [[(0, 0, 6), (0, 1, 2)], [(1, 1, 4)]])
    second = fold(runs[1], [[0, 0], [4, 4]], [[(1, 0, 4), (1, 1, 4)]])
    found = joint_score(runs, [first, second])
    assert found.confusion_matrix == ((6, 2), (4, 8))
    # IoU: 6 / (6 + 2 + 4) and 8 / (8 + 4 + 2).
    assert found.miou == pytest.approx((6 / 12 + 8 / 14) / 2)
    assert found.pixel_accuracy == pytest.approx(14 / 20)
    assert [one.iou for one in found.per_class] == pytest.approx([0.5, 8 / 14])
    assert found.miou_interval is not None
    assert found.miou is not None
    assert found.miou_interval[0] <= found.miou <= found.miou_interval[1]
    assert [one.name for one in found.folds] == ["fold-0", "fold-1"]
    assert found.mean == pytest.approx((first.miou + second.miou) / 2)
    assert found.std == pytest.approx(abs(first.miou - second.miou) / math.sqrt(2))


def test_images_of_a_group_are_drawn_together_for_the_interval(tmp_path: Path):
    runs = [tmp_path / f"fold-{number}" for number in range(6)]
    # By their names, the first images of all folds are one group and the second ones are the other.
    images = [[(0, 0, 6), (0, 1, 2)], [(1, 1, 4)]]
    results = [fold(run, [[6, 2], [0, 4]], images) for run in runs]
    for letter, run in zip("abcdef", runs, strict=True):
        place = evaluation_folder(run, results[0].split, results[0].protocol)
        save_details([msgspec.structs.replace(one, id=f"{one.id}x{letter}") for one in load_details(place)], place)
    alone, together = joint_score(runs, results), joint_score(runs, results, "^[0-9]")
    assert (alone.drawn, together.drawn) == (12, 2)
    assert alone.miou == together.miou
    # Of two groups drawn with replacement, a quarter of the resamples hold the second alone: path is all right there
    # (IoU 1, grass undefined), and a quarter the first alone: grass 36 of 48, path 0 of 12.
    assert together.miou_interval == pytest.approx((0.375, 1.0))
    # Twelve images are all of one group in one of 4096 resamples, far fewer than are beyond an end of the interval.
    assert alone.miou_interval is not None
    assert alone.miou_interval[0] > 0.375
    assert alone.miou_interval[1] < 1.0


def test_multi_label_counts_are_added_by_class(tmp_path: Path):
    runs, results = [tmp_path / "fold-0", tmp_path / "fold-1"], []
    for run, row in zip(runs, ((3, 1, 0, 6), (2, 0, 2, 6)), strict=True):
        result = miniature(
            per_class=(class_result("grass", 0.5),),
            confusion_matrix=(),
            binary_counts=(msgspec.convert(dict(zip(BinaryCounts.__struct_fields__, row, strict=True)), BinaryCounts),),
        )
        place = evaluation_folder(run, result.split, result.protocol)
        save_result(result, (), place)
        save_details([ImageDetails(id="a", binary=(ClassPixels(0, *row[:3]),))], place)
        results.append(result)
    found = joint_score(runs, results)
    assert found.confusion_matrix == ()
    assert [msgspec.structs.astuple(one) for one in found.binary_counts] == [(5, 1, 2, 12)]
    assert found.miou == pytest.approx(5 / 8)


def test_folds_without_a_class_are_named_and_the_interval_is_one_of_scores(tmp_path: Path):
    nothing = class_result("path", math.nan)
    runs = [tmp_path / "fold-0", tmp_path / "fold-1"]
    first = fold(runs[0], [[6, 2], [0, 4]], [[(0, 0, 6), (0, 1, 2)], [(1, 1, 4)]])
    second = fold(runs[1], [[1, 0], [0, 0]], [[(0, 0, 1)]])
    second = msgspec.structs.replace(second, per_class=(second.per_class[0], nothing))
    found = joint_score(runs, [first, second])
    assert [one.left_out for one in found.folds] == [(), ("path",)]
    assert found.unlike_folds is not None
    assert "fold-1 without path, of which no pixel" in found.unlike_folds
    # The folds' mean IoU are 0.75 and 1: without bounds, the interval would end at 2.46.
    assert found.interval == (0.0, 1.0)
    alike = joint_score(runs, [msgspec.structs.replace(first, per_class=second.per_class), second])
    assert alike.unlike_folds is None


def test_the_pooled_result_is_that_of_one_network_on_all_images(tmp_path: Path):
    first = fold(tmp_path / "fold-0", [[6, 2], [0, 4]], [[(0, 0, 6), (0, 1, 2)], [(1, 1, 4)]])
    second = fold(tmp_path / "fold-1", [[0, 0], [4, 4]], [[(1, 0, 4), (1, 1, 4)]])
    costs = [TrainingCost(steps=n, seconds=2.0, peak_memory_bytes=n, planned_steps=4) for n in (3, 4)]
    # Bins of 10 pixels, 5 right, confidence 8; and of 20 pixels, 20 right, confidence 19: (3 + 1) / 30.
    sure, unsure, none = CalibrationBin(20, 20, 19.0), CalibrationBin(10, 5, 8.0), CalibrationBin(0, 0, 0.0)
    bins = (unsure, none), (none, sure)
    parts = [
        msgspec.structs.replace(one, training=cost, calibration=own, calibration_error=0.9, boundary_miou=0.4)
        for one, cost, own in zip((first, second), costs, bins, strict=True)
    ]
    found = pooled_result(parts, "print of all")
    assert (found.split, found.data_fingerprint) == ("out-of-fold", "print of all")
    assert found.confusion_matrix == ((6, 2), (4, 8))
    assert found.miou == pytest.approx((6 / 12 + 8 / 14) / 2)
    assert [one.iou for one in found.per_class] == pytest.approx([6 / 12, 8 / 14])
    assert [one.pixels for one in found.per_class] == [8, 12]
    assert found.pixel_accuracy == pytest.approx(14 / 20)
    assert found.images == first.images + second.images
    assert found.training == TrainingCost(steps=7, seconds=4.0, peak_memory_bytes=4, planned_steps=8)
    assert found.training.share == pytest.approx(7 / 8)
    assert found.calibration_error == pytest.approx(4 / 30)
    assert found.calibration == (unsure, sure)
    assert math.isnan(found.boundary_miou)
    unmeasured = pooled_result([parts[0], msgspec.structs.replace(parts[1], calibration=(), training=None)], "x")
    assert (unmeasured.calibration, unmeasured.training) == ((), None)
    assert math.isnan(unmeasured.calibration_error)
