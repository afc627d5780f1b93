from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from scipy import stats

from pixelwise.evaluation.folds.pooling import interval_of_mean, joint_score, student_quantile
from pixelwise.records.details import ClassPixels, ConfusedPixels, ImageDetails, save_details
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import Result, save_result
from pixelwise.records.scores import BinaryCounts
from tests.results import class_result, miniature


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 30])
def test_the_quantile_is_that_of_students_distribution(freedom: int):
    for probability in (0.6, 0.9, 0.975, 0.999):
        assert student_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-9)


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
