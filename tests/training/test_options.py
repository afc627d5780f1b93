from pathlib import Path

import pytest

from pixelwise.cli.line.options import flags_of
from pixelwise.errors import RecipeError
from pixelwise.options import field_texts
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides, flat_fields
from pixelwise.training.options import SHORTHANDS, ResumeOptions, TrainOptions

OF_PROCESSES = ("--devices", "--nodes", "--rendezvous", "--restarts")


def test_existing_flags_keep_their_names():
    assert [flag.flags for flag in flags_of(TrainOptions)] == [
        "--epochs", "--batch", "--size", "--lr", "--seed", "--seeds", "--workers", "--weights", "--from", "--minutes",
        "--auto-batch", "--device", "--threads", "--track", "--evaluate/--no-evaluate", "--shard", *OF_PROCESSES,
    ]  # fmt: skip
    assert [flag.flags for flag in flags_of(ResumeOptions)] == [
        "--epochs", "--workers", "--data", "--device", "--track", "--evaluate/--no-evaluate", "--shard", *OF_PROCESSES,
    ]  # fmt: skip


@pytest.mark.parametrize("options", [TrainOptions, ResumeOptions])
def test_every_option_has_a_text(options):
    assert set(field_texts(options)) == set(options.__struct_fields__)


@pytest.mark.parametrize("options", [TrainOptions, ResumeOptions])
def test_weights_are_divided_in_one_of_three_ways(options):
    assert options(shard="always").shard == "always"
    with pytest.raises(RecipeError, match="one of auto, never, always") as caught:
        options(shard="sometimes")
    assert caught.value.code == "R260"


def test_less_than_one_thread_is_refused():
    with pytest.raises(RecipeError) as caught:
        TrainOptions(threads=0)
    assert caught.value.code == "R260"


@pytest.mark.parametrize(
    ("options", "overrides"),
    [
        ({}, []),
        ({"epochs": 3}, ["schedule.epochs=3"]),
        ({"batch": 4, "seed": 7}, ["sampling.batch_size=4", "sampling.seed=7"]),
        ({"size": (360, 480)}, ["augment.crop=[360, 480]"]),
        ({"lr": 0.01, "workers": 0}, ["optimizer.lr=0.01", "data.workers=0"]),
        ({"weights": "none"}, ["initialize.encoder=none"]),
        ({"weights": "a b/c.pth", "begin": "runs/x"}, ["initialize.encoder=a b/c.pth", "initialize.run=runs/x"]),
        ({"overrides": {"epochs": 5}, "lr": 0.5}, ["schedule.epochs=5", "optimizer.lr=0.5"]),
        ({"overrides": ["data.exif=ignore"], "epochs": 2}, ["data.exif=ignore", "schedule.epochs=2"]),
    ],
)
def test_options_stand_for_overrides(options: dict, overrides: list[str]):
    assert TrainOptions(**options).all_overrides() == overrides


def test_every_shorthand_sets_the_field_it_names():
    values = {"epochs": 3, "batch": 4, "size": (64, 96), "lr": 0.5, "seed": 7, "workers": 2, "weights": "default"}
    changed = apply_overrides(recipe("unet-resnet18"), TrainOptions(**values, begin=Path("runs/x")).all_overrides())
    fields = flat_fields(changed)
    expected = {**values, "size": [64, 96], "begin": "runs/x"}
    assert {option: fields[field] for option, field in SHORTHANDS.items()} == expected


@pytest.mark.parametrize(
    ("options", "override"),
    [
        ({"epochs": 3}, "schedule.epochs=3"),
        ({"epochs": 3}, "epochs=5"),
        ({"epochs": 3}, "schedule.iterations=100"),
        ({"batch": 3}, "sampling.batch_size=5"),
        ({"weights": "none"}, "initialize.encoder=default"),
    ],
)
def test_an_option_and_its_override_exclude_each_other(options: dict, override: str):
    with pytest.raises(RecipeError) as caught:
        TrainOptions(**options, overrides=(override,)).all_overrides()
    assert caught.value.code == "R261"
    assert override.partition("=")[0] in caught.value.message
    assert f"`{next(iter(options))}`" in caught.value.message


def test_a_run_is_resumed_with_another_length_and_other_workers():
    options = ResumeOptions(epochs=9, workers=1, overrides=("checkpoints.keep=3",))
    assert options.all_overrides() == ["checkpoints.keep=3", "schedule.epochs=9", "data.workers=1"]
    with pytest.raises(RecipeError, match="R261"):
        ResumeOptions(epochs=9, overrides=("epochs=8",)).all_overrides()


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 0}, {"workers": -1}, {"seed": -1}])
def test_impossible_numbers_are_refused_at_once(wrong: dict):
    with pytest.raises(RecipeError) as caught:
        TrainOptions(**wrong)
    assert caught.value.code == "R260"
