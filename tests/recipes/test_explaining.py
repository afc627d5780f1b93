import tomllib
from pathlib import Path

import pytest

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.explaining import explain, readable
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
    assert "# clip_norm is not set" in lines


def test_a_networks_own_preprocessing_is_a_default():
    text = explain("segformer-b0-cityscapes")
    assert "mean = [0.485, 0.456, 0.406] # default" in text.partition("[model.preprocessing]")[2].splitlines()


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


@pytest.mark.parametrize("name", ["unet", "enet-camvid", "segformer-b0-cityscapes"])
def test_what_is_shown_reads_back_and_names_what_is_not_set(name: str):
    found = apply_overrides(recipe(name), ["label_map={0 = 1, 255 = 255}"])
    shown = readable(found)
    assert tomllib.loads(shown) == to_plain(found)
    unset = [line for line in shown.splitlines() if line.startswith("# ")]
    assert all(line.startswith("# not set: ") for line in unset)
    assert any("clip_norm" in line for line in unset) is (found.optimizer.clip_norm is None)


def test_short_lists_are_written_on_one_line():
    assert "decoder_channels = [128, 64, 48]" in readable(recipe("unet")).splitlines()


def test_every_field_is_described_with_its_values_and_its_default():
    text = " ".join(line.removeprefix("# ") for line in explain("unet").splitlines())
    assert "Base learning rate. Values: a number. Default: every recipe sets it. lr = 0.003" in text
    assert "Shape of the schedule." in text
    assert "Values: constant, step, poly, cosine or one-cycle. Default: poly." in text
    assert "U-Net decoder (Ronneberger et al. 2015, arXiv:1505.04597) on any encoder." in text
    assert "Exponential moving average" in explain("enet-camvid")
    assert "# ema is not set" in explain("enet-camvid").splitlines()
