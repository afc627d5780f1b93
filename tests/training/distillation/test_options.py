from __future__ import annotations

import msgspec
import pytest

from pixelwise.cli.line.options import flags_of
from pixelwise.errors import RecipeError
from pixelwise.options import field_texts
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.distillation import Distillation
from pixelwise.training.distillation.options import DistillOptions
from pixelwise.training.options import TrainOptions


def test_what_teaches_is_listed_before_the_options_of_train():
    own = [
        "--teacher", "--teacher-encoder", "--match", "--stage", "--teacher-stage", "--temperature", "--weight",
        "--labels/--no-labels", "--views", "--cache-views",
    ]  # fmt: skip
    assert [flag.flags for flag in flags_of(DistillOptions)] == [
        *own, *(flag.flags for flag in flags_of(TrainOptions)),
    ]  # fmt: skip
    assert set(field_texts(DistillOptions)) == set(DistillOptions.__struct_fields__)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"teacher": "runs/a"}, Distillation(teacher="runs/a")),
        ({"teacher": "2024"}, Distillation(teacher="2024")),
        ({"teacher": "none, [a] # b"}, Distillation(teacher="none, [a] # b")),
        (
            {"teacher": ["runs/a", "runs/b c"], "views": "flip"},
            Distillation(teacher=("runs/a", "runs/b c"), views="flip"),
        ),
        (
            {"teacher": "a", "match": "dist", "temperature": 2, "weight": 0.5, "labels": False},
            Distillation(teacher="a", match="dist", temperature=2.0, weight=0.5, with_labels=False),
        ),
        (
            {"teacher": "w.pth", "teacher_encoder": "resnet18", "match": "features", "stage": 2, "teacher_stage": 0},
            Distillation(teacher="w.pth", teacher_encoder="resnet18", match="features", stage=2, teacher_stage=0),
        ),
    ],
)
def test_options_set_the_section(options: dict, expected: Distillation):
    changed = apply_overrides(recipe("unet-resnet18"), DistillOptions(**options, epochs=3).all_overrides())
    assert changed.distillation == expected
    assert changed.schedule.epochs == 3


def test_what_is_left_out_is_left_to_the_recipe():
    asked = apply_overrides(recipe("unet-resnet18"), ["teacher=runs/a", "match=channels", "with_labels=false"])
    changed = apply_overrides(asked, DistillOptions(teacher="runs/b").all_overrides())  # type: ignore[arg-type]
    assert changed.distillation == msgspec.structs.replace(asked.distillation, teacher="runs/b")
    back = apply_overrides(asked, DistillOptions(teacher="runs/b", labels=True).all_overrides())  # type: ignore[arg-type]
    assert back.distillation.with_labels


def test_a_teacher_is_needed_and_named_once():
    with pytest.raises(TypeError, match="teacher"):
        DistillOptions()  # type: ignore[call-arg]
    with pytest.raises(RecipeError) as caught:
        DistillOptions(teacher="runs/a", overrides=("teacher=runs/b",)).all_overrides()  # type: ignore[arg-type]
    assert caught.value.code == "R261"
    with pytest.raises(RecipeError) as caught:
        apply_overrides(recipe("unet-resnet18"), DistillOptions(teacher=()).all_overrides())
    assert caught.value.code == "R203"
