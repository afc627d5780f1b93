"""Every number that `evaluate` writes or prints is in one of two tables: a library computes it too, or a test by hand.

A number that is added to a result, to the records of its images or to what a report computes of them fails here until
it is in a table, and until the test that is named there exists.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

from pixelwise.machine.facts import Machine
from pixelwise.metrics import CONVENTIONS, METRICS
from pixelwise.records.details import ClassLevels, ClassPixels, ConfusedPixels, ImageDetails, RegionCounts
from pixelwise.records.environment import Ancestor
from pixelwise.records.result import Result, TrainingCost
from pixelwise.records.scores import (
    BinaryCounts,
    CalibrationBin,
    ClassResult,
    GroupResult,
    ImageScore,
    MetricResult,
    MetricValue,
)
from pixelwise.records.suspects import Suspect
from pixelwise.reports.run.reliability import ReliabilityRow
from pixelwise.reports.run.thresholds import Scores as ThresholdScores

TESTS = Path(__file__).resolve().parents[1]
SKLEARN = "references/test_scores_of_scikit_learn.py::"
SCIPY = "references/test_places_of_scipy.py::"
STORED = "references/test_stored_references.py::"
ACCURACIES = f"{SKLEARN}test_accuracy_precision_and_f1_of_each_class"
IOU = f"{SKLEARN}test_iou_and_its_means"
MULTILABEL = f"{SKLEARN}test_multi_label_counts_and_scores"
REGIONS = f"{SCIPY}test_regions_labelled_found_and_invented"
BINS = f"{STORED}test_the_bins_of_scikit_learn"
THRESHOLDS = f"{SKLEARN}test_scores_with_another_threshold"
OF_A_LIBRARY = {
    "Result.miou": IOU,
    "Result.pixel_accuracy": f"{SKLEARN}test_accuracy_of_pixels_and_of_classes",
    "Result.mean_accuracy": f"{SKLEARN}test_accuracy_of_pixels_and_of_classes",
    "Result.frequency_weighted_iou": IOU,
    "Result.classes_present": IOU,
    "Result.confusion_matrix": f"{SKLEARN}test_the_counts",
    "Result.boundary_miou": f"{SCIPY}test_boundary_iou",
    "Result.calibration_error": f"{STORED}test_the_calibration_error_of_torchmetrics",
    "Result.miou_interval": f"{SCIPY}test_the_interval_over_images",
    "ClassResult.iou": IOU,
    "ClassResult.accuracy": ACCURACIES,
    "ClassResult.precision": ACCURACIES,
    "ClassResult.f1": ACCURACIES,
    "ClassResult.pixels": ACCURACIES,
    "ClassResult.boundary_iou": f"{SCIPY}test_boundary_iou",
    "BinaryCounts.true_positives": MULTILABEL,
    "BinaryCounts.false_positives": MULTILABEL,
    "BinaryCounts.false_negatives": MULTILABEL,
    "BinaryCounts.true_negatives": MULTILABEL,
    "CalibrationBin.pixels": BINS,
    "CalibrationBin.right": BINS,
    "CalibrationBin.confidence": BINS,
    "ImageDetails.near": f"{SCIPY}test_pixels_near_a_border_between_classes",
    "RegionCounts.labelled": REGIONS,
    "RegionCounts.found": REGIONS,
    "RegionCounts.invented": REGIONS,
    "ThresholdScores.iou": THRESHOLDS,
    "ThresholdScores.precision": THRESHOLDS,
    "ThresholdScores.recall": THRESHOLDS,
    "convention cityscapes": "evaluation/test_mask_files.py::"
    "test_the_integers_and_averages_are_those_of_the_cityscapes_script",
    "metric iou": IOU,
    "metric pixel_accuracy": f"{SKLEARN}test_accuracy_of_pixels_and_of_classes",
    "metric accuracy": ACCURACIES,
    "metric precision": ACCURACIES,
    "metric f1": ACCURACIES,
    "metric frequency_weighted_iou": IOU,
    "metric miou_interval": f"{SCIPY}test_the_interval_over_images",
    "metric boundary_iou": f"{SCIPY}test_boundary_iou",
    "metric calibration_error": f"{STORED}test_the_calibration_error_of_torchmetrics",
}
"""Number -> the test that compares it with what another library computes."""
TALLY = "evaluation/test_tally.py::"
GROUPS = "evaluation/test_groups.py::"
DETAILS = "evaluation/test_details.py::"
SUSPECTS = "evaluation/test_suspects.py::test_a_sure_region_of_another_class_is_found_with_its_box_in_the_image"
SUSPECT_FIELDS = ("pixels", "confidence", "x", "y", "width", "height", "image_width", "image_height")
RELIABILITY = "reports/run/test_reliability.py::test_bins_are_rows_without_the_empty_ones"
DIAGRAM = ("left", "width", "sure", "right", "weight")
CONVENTION = "metrics/test_conventions.py::test_absent_classes_and_void_predictions_tell_them_apart"
LEVELS = "evaluation/test_thresholds.py::test_of_two_classes_the_probability_of_the_second_is_sorted_into_levels"
BY_HAND = {
    "Result.images": f"{TALLY}test_two_images_by_hand",
    "Result.drawn": "evaluation/test_assembling.py::test_a_result_says_what_its_interval_was_drawn_from",
    "Result.series": "evaluation/test_assembling.py::test_a_result_says_what_its_interval_was_drawn_from",
    "ClassResult.images": f"{TALLY}test_two_images_by_hand",
    "ClassResult.worst_image_iou": f"{TALLY}test_two_images_by_hand",
    "ImageScore.miou": f"{TALLY}test_two_images_by_hand",
    "ImageScore.pixel_accuracy": f"{TALLY}test_two_images_by_hand",
    "ImageScore.labelled_pixels": f"{TALLY}test_two_images_by_hand",
    "ImageScore.iou": f"{TALLY}test_two_images_by_hand",
    "GroupResult.images": f"{GROUPS}test_a_group_of_one_image_has_that_images_scores",
    "GroupResult.miou": f"{GROUPS}test_a_group_of_one_image_has_that_images_scores",
    "GroupResult.pixel_accuracy": f"{GROUPS}test_a_group_of_one_image_has_that_images_scores",
    "GroupResult.iou": f"{GROUPS}test_a_group_of_one_image_has_that_images_scores",
    "ConfusedPixels.pixels": f"{DETAILS}test_cells_that_are_not_zero_are_kept",
    "ClassPixels.true_positives": f"{DETAILS}test_multi_label_images_have_counts_per_class",
    "ClassPixels.false_positives": f"{DETAILS}test_multi_label_images_have_counts_per_class",
    "ClassPixels.false_negatives": f"{DETAILS}test_multi_label_images_have_counts_per_class",
    "ImageDetails.near_wrong": f"{DETAILS}test_errors_near_a_border_are_told_from_others",
    "ClassLevels.labelled": LEVELS,
    "ClassLevels.other": LEVELS,
    **{f"Suspect.{field}": SUSPECTS for field in SUSPECT_FIELDS},
    **{f"ReliabilityRow.{field}": RELIABILITY for field in DIAGRAM},
    "convention pytorch-enet": CONVENTION,
    "convention sssegmentation": CONVENTION,
    "convention united-perception": CONVENTION,
    "convention edgeai": CONVENTION,
}
"""Number that no library has in this form -> the test that computes it by hand."""
NO_SCORES = {
    "Result.input_size", "Result.step", "Result.seconds", "Result.images_per_second", "Result.peak_memory_bytes",
    # Which class it is about, and values of metrics, which have their own rows.
    "ConfusedPixels.truth", "ConfusedPixels.prediction", "ClassPixels.class_id", "RegionCounts.class_id",
    "ClassLevels.class_id",
    "MetricValue.value", "MetricValue.per_class", "MetricValue.interval",
    "MetricResult.value", "MetricResult.per_class", "MetricResult.interval",
}  # fmt: skip
OTHER_STRUCTS = (Machine, TrainingCost, Ancestor)
"""Parts of a result that describe how it came about."""
STRUCTS = (
    Result, ClassResult, BinaryCounts, CalibrationBin, ImageScore, GroupResult, MetricValue, MetricResult, ImageDetails,
    ConfusedPixels, ClassPixels, RegionCounts, ClassLevels, Suspect,
)  # fmt: skip


def holds_a_number(kind: msgspec.inspect.Type) -> bool:
    """Whether values of a type are numbers, or rows of them."""
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return True
    if isinstance(kind, msgspec.inspect.CustomType):
        return False
    parts = [getattr(kind, "item_type", None), *getattr(kind, "item_types", ()), *getattr(kind, "types", ())]
    return any(holds_a_number(part) for part in parts if part is not None)


def structs_within(kind: msgspec.inspect.Type) -> set[type]:
    """The structs that are part of a value of a type."""
    names = ("item_type", "value_type", "key_type")
    parts = [*(getattr(kind, name, None) for name in names), *getattr(kind, "item_types", ())]
    parts += [*getattr(kind, "types", ()), *(field.type for field in getattr(kind, "fields", ()))]
    found = {kind.cls} if isinstance(kind, msgspec.inspect.StructType) else set()
    return found.union(*(structs_within(part) for part in parts if part is not None))


def numbers() -> set[str]:
    """Every number of the results and of what is computed of them."""
    found = {f"convention {name}" for name in CONVENTIONS} | {f"metric {name}" for name in METRICS.own()}
    for struct in STRUCTS:
        kind = msgspec.inspect.type_info(struct)
        assert isinstance(kind, msgspec.inspect.StructType)
        found |= {f"{struct.__name__}.{field.name}" for field in kind.fields if holds_a_number(field.type)}
    for name, row in (("ThresholdScores", ThresholdScores), ("ReliabilityRow", ReliabilityRow)):
        hints = get_type_hints(row)
        found |= {f"{name}.{field}" for field, kind in hints.items() if kind in (int, float, float | None)}
    return found


def test_every_number_is_in_one_of_the_tables():
    tables = [set(OF_A_LIBRARY), set(BY_HAND), NO_SCORES]
    assert sum(map(len, tables)) == len(set.union(*tables))
    assert sorted(numbers() - set.union(*tables)) == []
    assert sorted(set.union(*tables) - numbers()) == []


def test_no_part_of_a_result_is_left_out():
    parts = set.union(*(structs_within(msgspec.inspect.type_info(struct)) for struct in (Result, ImageDetails)))
    assert {part.__name__ for part in parts} <= {struct.__name__ for struct in (*STRUCTS, *OTHER_STRUCTS)}


@pytest.mark.parametrize("test", sorted({*OF_A_LIBRARY.values(), *BY_HAND.values()}))
def test_the_tests_in_the_tables_exist(test: str):
    path, _, name = test.partition("::")
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("test", sorted(set(OF_A_LIBRARY.values())))
def test_what_a_library_computes_is_compared_with_that_library(test: str):
    text = (TESTS / test.partition("::")[0]).read_text("utf-8")
    assert any(name in text for name in ("sklearn", "scipy", "torchmetrics", "cityscapesscripts"))
