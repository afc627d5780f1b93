from pathlib import Path

import msgspec
import pytest

from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides, changes_between
from pixelwise.recipes.schema.recipe import Recipe, Stage
from pixelwise.testing.rows import STEPS, RowTrial, modern_rows, published_rows, trial_recipe
from pixelwise.training.stages import stage_recipe

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PAGES = {"published": published_rows, "modern": modern_rows}


def whole(recipe: Recipe) -> list[Recipe]:
    """A recipe and those of its stages, however their overrides are written."""
    stages = [stage_recipe(recipe, stage) for stage in recipe.stages]
    return [msgspec.structs.replace(recipe, stages=()), *stages]


class Sweep(msgspec.Struct):
    trials: list[RowTrial]


@pytest.mark.parametrize(
    ("name", "before", "own"),
    [
        ("deeplabv3lite-mobilenetv2-cityscapes-768x384-qat", "none", "edgeai-8bit"),
        ("erfnet-cityscapes", "none", "none"),
    ],
)
def test_a_trial_keeps_the_stages_of_its_row(name: str, before: str, own: str):
    entry = find_recipe(name)
    tried = trial_recipe(entry)
    (stage,) = (stage_recipe(tried, stage) for stage in tried.stages)
    assert (stage.quantization, tried.quantization) == (before, own)
    assert stage.schedule.iterations == tried.schedule.iterations == STEPS
    assert stage.sampling.batch_size == tried.sampling.batch_size == 2


def test_a_trial_recipe_neither_loss_nor_transforms_before_the_crop():
    entry = find_recipe("fcn-r50-d16-cityscapes")
    tried = trial_recipe(entry)
    assert tried.loss == entry.loss
    assert tried.augment.fit == entry.augment.fit == (1024, 2048)
    assert tried.augment.crop == (128, 128)


def test_a_stage_with_a_batch_and_a_crop_of_its_own_becomes_as_small():
    row = find_recipe("erfnet-cityscapes")
    large = Stage(name="large", overrides=("sampling.batch_size=64", "augment.crop=[512, 256]", "schedule.epochs=9"))
    entry = msgspec.structs.replace(row, stages=(large,))
    tried = trial_recipe(entry)
    stage = stage_recipe(tried, tried.stages[0])
    assert (stage.sampling.batch_size, stage.augment.crop) == (2, (128, 128))
    assert (stage.schedule.iterations, stage.schedule.epochs) == (STEPS, None)


def test_the_changes_of_a_trial_make_it_of_its_row():
    for name in ("erfnet-cityscapes", "deeplabv3lite-mobilenetv2-cityscapes-768x384-qat", "fcn-r50-d8-voc-aug"):
        entry = find_recipe(name)
        assert apply_overrides(entry, changes_between(entry, trial_recipe(entry))) == trial_recipe(entry)


def test_no_row_is_on_a_transcribed_and_a_compiled_page():
    assert not set(published_rows()) & set(modern_rows())


@pytest.mark.parametrize("pages", list(PAGES))
def test_the_committed_sweep_tried_every_row_as_it_is_tried_today(pages: str):
    found = msgspec.json.decode(BENCHMARKS.joinpath(f"measurements/sweep_{pages}.json").read_bytes(), type=Sweep)
    assert sorted(trial.recipe for trial in found.trials) == sorted(PAGES[pages]())
    for trial in found.trials:
        entry = find_recipe(trial.recipe)
        tried, today = apply_overrides(entry, trial.changes), trial_recipe(entry)
        assert whole(tried) == whole(today), f"{trial.recipe}: run benchmarks/sweep.py again"
        assert (trial.protocol, trial.dataset) == (entry.evaluation.protocols[0], entry.data.dataset)
        assert trial.quantization == entry.quantization
        assert trial.images > 0


def test_the_table_of_the_sweep_lists_every_row():
    table = BENCHMARKS.joinpath("sweep.md").read_text("utf-8")
    listed = [line.split()[1] for line in table.splitlines() if line.startswith("| ")]
    assert sorted(name for name in listed if name != "recipe") == sorted(published_rows() + modern_rows())
