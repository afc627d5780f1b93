from __future__ import annotations

import math

import msgspec
import pytest

from pixelwise.machine.facts import Machine
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.advice import (
    Confusion,
    about_confusion,
    about_images,
    about_length,
    about_lost_class,
    advice,
    largest_confusion,
)
from pixelwise.records.log import EvaluationRecord, Log, PlannedField, PlanRecord, StepRecord
from pixelwise.records.result import Result
from pixelwise.records.scores import ClassResult

PLAIN = ("augment.class_crop=0", "loss.class_weights=none")
RECIPE = apply_overrides(find_recipe("unet-resnet18"), ["schedule.epochs=40", "augment.crop=[64,64]", *PLAIN])
STILL_RISES = "mIoU on val still rises at the end, by 2.0 points in the last quarter: --epochs 80"


def result(matrix: list[list[int]], images: int = 30) -> Result:
    """A result with this confusion matrix; its classes are `a`, `b`, ..."""
    columns = [sum(column) for column in zip(*matrix, strict=True)]
    per_class = tuple(
        ClassResult(
            name="abcdefgh"[place],
            iou=row[place] / (sum(row) + columns[place] - row[place]) if sum(row) or columns[place] else math.nan,
            accuracy=math.nan,
            precision=math.nan,
            pixels=sum(row),
            images=images if sum(row) else 0,
            worst_image=None,
            worst_image_iou=math.nan,
        )
        for place, row in enumerate(matrix)
    )
    return Result(
        miou=0.5,
        per_class=per_class,
        pixel_accuracy=0.5,
        confusion_matrix=tuple(map(tuple, matrix)),
        images=images,
        classes_present=len(matrix),
        split="val",
        protocol="native",
        input_size=None,
        recipe="unet",
        recipe_hash="",
        weights_sha256="",
        weights="model",
        step=1,
        training=None,
        data_fingerprint="",
        seconds=1.0,
        images_per_second=1.0,
        peak_memory_bytes=0,
        machine=Machine(cpu="", cores=1, threads=1, gpu=None, memory_bytes=0, platform=""),
        versions={},
        command="",
    )


@pytest.mark.parametrize(
    ("mious", "said"),
    [
        ((), ""),
        ((0.1, 0.2, 0.3), ""),  # too few
        ((0.1, 0.2, 0.3, 0.32), STILL_RISES),
        ((0.3, 0.3, 0.3, 0.309), ""),  # less than a point
        # Eight evaluations: the last two against the best of the six before them.
        ((0.1, 0.5, 0.4, 0.4, 0.4, 0.4, 0.52, 0.48), STILL_RISES),
        ((0.1, 0.53, 0.4, 0.4, 0.4, 0.4, 0.52, 0.52), ""),  # it fell by one point only
        (
            (0.1, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
            "mIoU on val was best after 25 % of the training and fell by 10.0 points since: a longer training does not "
            "help, more or more varied images may",
        ),
        ((0.1, 0.2, 0.3, 0.4, 0.6, 0.5, 0.5, 0.5), ""),  # best in the second half
    ],
)
def test_the_length_of_the_training(mious: tuple[float, ...], said: str):
    assert about_length(RECIPE, mious) == said


def test_a_length_in_steps_is_doubled_in_steps():
    steps = msgspec.structs.replace(
        RECIPE, schedule=msgspec.structs.replace(RECIPE.schedule, epochs=None, iterations=124)
    )
    rising = (0.1, 0.2, 0.3, 0.4)
    assert about_length(steps, rising).endswith(": schedule.iterations=248")
    # A planned length in steps is that of so many epochs, which are easier to ask for.
    planned = PlannedField(field="schedule.iterations", value=124, reason="a step takes 0.7 s")
    log = Log(
        (
            PlanRecord(step=0, choices=(planned,)),
            StepRecord(step=124, epoch=21, loss=0.1, lr=0.0),
            *(EvaluationRecord(step=124, split="val", protocol="native", miou=miou) for miou in rising),
        )
    )
    assert advice(steps, log, None)[0].endswith(": --epochs 42")


@pytest.mark.parametrize(
    ("matrix", "found"),
    [
        ([[90, 10], [5, 95]], None),
        ([[80, 20], [5, 95]], Confusion(0, 1, 0.2, 0.5)),
        ([[80, 20], [50, 50]], Confusion(1, 0, 0.5, 0.5)),
        ([[99_990, 0], [9, 1]], None),  # one in ten thousand pixels says nothing
        ([[60, 0, 0], [10, 8, 2], [0, 0, 0]], Confusion(1, 0, 0.5, 0.25)),  # a class without pixels
        ([], None),  # multi-label data
        ([[0, 0], [0, 0]], None),
    ],
)
def test_the_largest_confusion(matrix: list[list[int]], found: Confusion | None):
    assert largest_confusion(result(matrix)) == found


@pytest.mark.parametrize(
    ("changes", "matrix", "said"),
    [
        ((), [[90, 10], [5, 95]], ""),
        (
            (),
            [[60, 40], [5, 95]],
            "a: 40 % of it is taken for b: look at these images in the report; are they labelled alike?",
        ),
        (
            (),
            [[950, 0], [39, 11]],
            "b: 78 % of it is taken for a, and it is only 5 % of the pixels: augment.class_crop=0.5",
        ),
        (
            ("augment.class_crop=0.5",),
            [[950, 0], [39, 11]],
            "b: 78 % of it is taken for a, and it is only 5 % of the pixels: loss.class_weights=inverse-sqrt",
        ),
        (
            ("augment.class_crop=0.5", "loss.class_weights=enet"),
            [[950, 0], [39, 11]],
            "b: 78 % of it is taken for a: look at these images in the report; are they labelled alike?",
        ),
    ],
)
def test_a_confused_class_with_the_setting_that_may_help(changes: tuple[str, ...], matrix: list[list[int]], said: str):
    assert about_confusion(apply_overrides(RECIPE, changes), result(matrix)) == said


def test_a_class_that_is_never_found():
    assert about_lost_class(result([[90, 0, 0], [10, 0, 0], [20, 0, 0]])).startswith(
        "c is never found (30 images of val have it): label more of it"
    )
    assert about_lost_class(result([[90, 0], [10, 1]])) == ""
    assert about_lost_class(result([[90, 3], [0, 0]])) == ""  # predicted, but nowhere labelled


def test_few_images():
    assert about_images(result([[1]], images=10)) == ""
    assert about_images(result([[1]], images=1)) == (
        "only 1 image of val was scored: label more before you compare runs by a few points"
    )


def test_at_most_three_sentences_the_length_first():
    log = Log(
        tuple(
            EvaluationRecord(step=step, split=split, protocol="native", miou=miou)
            for step, (split, miou) in enumerate(
                [("val", 0.1), ("test", 0.9), ("val", 0.2), ("val", None), ("val", 0.3), ("val", 0.32)]
            )
        )
    )
    poor = result([[90, 0, 0], [10, 0, 0], [20, 0, 0]], images=3)
    found = advice(RECIPE, log, poor)
    assert len(found) == 3
    assert found[0] == STILL_RISES
    assert advice(RECIPE, log, None) == [STILL_RISES]
    assert advice(RECIPE, Log(), result([[99, 1], [1, 99]])) == []


def test_the_settings_it_names_are_accepted():
    found = [
        about_confusion(apply_overrides(RECIPE, changes), result([[950, 0], [39, 11]]))
        for changes in ((), ("augment.class_crop=0.5",))
    ]
    apply_overrides(RECIPE, [sentence.rpartition(": ")[2] for sentence in found])
