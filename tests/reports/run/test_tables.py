from __future__ import annotations

import math
import re

import msgspec
import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.result import ClassResult
from pixelwise.reports.run.records import read_run
from pixelwise.reports.run.tables import (
    changed_fields,
    class_rows,
    confusion_cells,
    frequent_confusions,
    remarks,
    summary_of,
)


def entry(name: str, iou: float, **changes) -> ClassResult:
    facts = {
        "accuracy": 0.5, "precision": 0.5, "pixels": 50,
        "images": 3, "worst_image": "a", "worst_image_iou": 0.1,
    } | changes  # fmt: skip
    return ClassResult(name=name, iou=iou, **facts)


@pytest.fixture
def run(finished_run):
    return read_run(finished_run)


@pytest.fixture
def result(run):
    return msgspec.structs.replace(
        run.evaluations[0].result,
        per_class=(
            entry("road", 0.9),
            entry("kerb", math.nan, pixels=0, images=0, worst_image=None),
            entry("sky", 0.95),
        ),
        confusion_matrix=((80, 0, 20), (0, 0, 0), (1, 0, 399)),
    )


def test_classes_are_ordered_by_iou_and_those_without_come_last(result):
    rows = class_rows(result)

    assert [row.name for row in rows] == ["sky", "road", "kerb"]
    assert [row.iou for row in rows] == ["95.00", "90.00", "n/a"]
    assert [row.width for row in rows] == [95.0, 90.0, 0.0]
    assert rows[1].share == "50.0"


def test_cells_are_percent_of_their_row_with_the_exact_count_in_words(result):
    first = confusion_cells(result)[0]

    assert [cell.text for cell in first] == ["80", "", "20"]
    assert re.findall(r"road|sky|[\d.]+ (?:px|%)", first[2].title) == ["road", "sky", "20 px", "20.0 %"]
    assert "hit" in first[0].style
    assert "hit" not in first[2].style


def test_less_than_half_a_percent_is_a_dot_and_not_nothing(result):
    assert confusion_cells(result)[2][0].text == "·"


def test_a_class_without_labels_has_an_empty_row(result):
    assert {cell.text for cell in confusion_cells(result)[1]} == {""}


def test_confusions_are_ordered_by_their_pixels(result):
    found = frequent_confusions(result)
    rare = msgspec.structs.replace(result, confusion_matrix=((1000, 0, 100), (0, 0, 0), (3, 2, 0)))
    assert [one.pixels for one in frequent_confusions(rare)] == ["100", "3", "2"]

    assert [(one.truth, one.prediction, one.share, one.pixels) for one in found] == [
        ("road", "sky", "20.0", "20"),
        ("sky", "road", "0.25", "1"),
    ]


def remarks_on(run, result, *overrides: str) -> str:
    changed = msgspec.structs.replace(run, recipe=apply_overrides(run.recipe, overrides))
    return " | ".join(remarks(changed, result))


def test_absent_invented_and_rare_classes_are_named(run, result):
    odd = msgspec.structs.replace(
        result,
        per_class=(*result.per_class, entry("ghost", 0.0, pixels=0, images=0), entry("bus", 0.5, images=1)),
    )
    text = remarks_on(run, odd)

    assert "without an IoU, which in the mean is left out: kerb." in text
    assert "IoU 0: ghost." in text
    assert "mIoU is the mean over 4 of 5 classes, mean accuracy over the 3 of 5 classes that are labelled." in text
    assert ": bus." in text


def test_a_score_on_the_split_that_chose_the_weights_is_called_optimistic(run, result):
    on_val = msgspec.structs.replace(result, split="val")

    assert "optimistic" in remarks_on(run, on_val)
    assert "optimistic" not in remarks_on(run, result)
    assert "the best of 3 evaluations on val so far, at step 60." in remarks_on(run, result)


def test_few_images_seed_skipped_steps_and_resumes_are_said(run, result):
    text = remarks_on(run, result, "sampling.seed=7")

    assert "Only 4 images" in text
    assert "seed 7" in text
    assert re.search(r"skipped[^|]*: 1\.", text)
    assert "Resumes: 1." in text


def test_changed_fields_of_the_recipe_are_listed(run, result):
    assert "schedule.epochs 10 instead of 300" in remarks_on(run, result, "schedule.epochs=10")
    assert "changes the recipe" not in remarks_on(run, result)


def test_the_summary_of_a_changed_recipe_says_what_it_no_longer_holds_for(run):
    def said(*changes: str) -> str:
        return summary_of(msgspec.structs.replace(run, recipe=apply_overrides(run.recipe, changes)))

    assert said() == run.recipe.summary
    assert said("data.workers=3", "notes=mine") == run.recipe.summary  # nothing that is trained differs
    assert said("schedule.epochs=10") == f"{run.recipe.summary}; here changed in schedule.epochs"
    many = said("schedule.epochs=10", "optimizer.lr=0.5", "sampling.batch_size=3", "loss.dice=0.25")
    assert many.endswith(" and 1 more")


def test_fields_filled_in_from_the_data_do_not_count_as_changes():
    filled = apply_overrides(
        recipe("unet-resnet18"),
        ['data.classes=["a", "b"]', "data.palette=[[0, 0, 0], [1, 1, 1]]", "ema=none"],
    )

    assert changed_fields(filled) == ["ema.decay unset instead of 0.999"]


def test_what_was_planned_does_not_count_as_a_change():
    words = ["augment.crop=[64, 64]", "schedule.iterations=9", "planned=[]", "initialize.encoder=some-package"]
    planned = apply_overrides(recipe("unet"), [*words, "optimizer.lr=0.1"])
    lengths = ("schedule.epochs", "schedule.iterations")
    assert changed_fields(planned, ("augment.crop", *lengths)) == ["optimizer.lr 0.1 instead of 0.003"]
    random = apply_overrides(planned, ["initialize.encoder=none", "optimizer.lr=0.003"])
    assert changed_fields(random, ("augment.crop", *lengths)) == ["initialize.encoder none instead of default"]


def test_a_recipe_that_nobody_knows_has_no_changes():
    assert changed_fields(msgspec.structs.replace(recipe("town-demo"), name="mine")) == []
