import tomllib
from pathlib import Path

import pytest

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.explaining import explain
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import to_plain

ROW = "row of page 000: davidtvs/PyTorch-ENet@6309b24"


@pytest.mark.parametrize("name", list_recipes())
def test_comments_change_nothing(name: str):
    assert tomllib.loads(explain(name)) == to_plain(recipe(name))


def test_groups_stages_and_tables_are_written_as_toml_too():
    changes = [
        'optimizer.groups=[{pattern="^head", lr=10}, {pattern="norm", weight_decay=0}]',
        'stages=[{name="first", overrides=["optimizer.lr=1"]}]',
        "data.label_map={0 = 1, 255 = 255}",
        "notes='two\\nlines'",
    ]
    text = explain("enet-cityscapes", changes)
    assert tomllib.loads(text) == to_plain(apply_overrides(recipe("enet-cityscapes"), changes))
    assert "[[optimizer.groups]] # changed here (was [])" in text
    assert "[data.label_map] # set here" in text


def test_sources_of_a_row_and_of_changes():
    lines = explain("enet-camvid", ["optimizer.lr=0.02", "ema.decay=0.9", "optimizer.weight_decay=0.0002"]).splitlines()
    for line in [
        "lr = 0.02 # changed here (was 0.0005)",
        f"weight_decay = 0.0002 # {ROW}",
        f'name = "enet-camvid" # {ROW}',
        "momentum = 0.9 # default",
        "decay = 0.9 # set here",
        "epochs = 300 # " + ROW,
    ]:
        assert line in lines
    assert any(line.startswith("# not set: ") and "clip_norm" in line for line in lines)


def test_a_networks_own_preprocessing_is_a_default():
    text = explain("segformer-b0-cityscapes")
    assert "mean = [ # default" in text.partition("[model.preprocessing]")[2][:40]


def test_sources_along_a_chain_of_files(tmp_path: Path):
    base, mine = tmp_path / "base.toml", tmp_path / "mine.toml"
    base.write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.1\nweight_decay = 0.3\n', "utf-8")
    mine.write_text(f'base = "{base}"\n[optimizer]\nlr = 0.2\n[ema]\n', "utf-8")
    lines = explain(str(mine), ["sampling.seed=3"]).splitlines()
    for line in [
        f"lr = 0.2 # {mine} (was 0.1)",
        f"weight_decay = 0.3 # {base} (was 0.0002)",
        f"decay_all = true # {ROW}",
        "decay = 0.999 # default",
        "seed = 3 # changed here (was 0)",
    ]:
        assert line in lines


def test_values_of_the_data_set_are_labelled():
    names = list(recipe("enet-camvid").data.class_names() or ())
    lines = explain("enet-camvid", [f"data.classes={names}"]).splitlines()
    assert "classes = [ # data set camvid" in lines
