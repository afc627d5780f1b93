import shutil
from pathlib import Path

import msgspec
import pytest
import torch

from pixelwise.checkpoints.trained import load_trained, load_weights
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.environment import read_environment, write_environment
from pixelwise.records.run_folder import palette_of, read_recipe, write_recipe


def test_the_result_of_a_run_is_its_best_average_in_evaluation_mode(tiny_run: Path):
    trained = load_trained(tiny_run)
    assert trained.weights == "ema"
    assert trained.recipe.name == "tiny"
    assert trained.model.classes == ("ground", "box", "ball")
    assert not trained.model.training
    saved = trained.checkpoint.tensors("ema")
    assert all(torch.equal(tensor, saved[name]) for name, tensor in trained.model.state_dict().items())
    assert trained.weights_sha256 == trained.checkpoint.manifest.files["ema.safetensors"].sha256


def test_an_encoder_of_a_package_that_is_not_installed_names_it(tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    write_recipe(run, apply_overrides(read_recipe(run), ["model={family='unet',encoder='acme_net'}"]))
    write_environment(run, msgspec.structs.replace(read_environment(run), plugins={"acme-encoders": "3.1"}))
    with pytest.raises(RecipeError, match="acme_net") as caught:
        load_trained(run)
    assert (caught.value.code, caught.value.help) == ("R273", "pip install acme-encoders==3.1")


def test_a_folder_without_a_recipe_is_no_run(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"recipe\.toml") as caught:
        load_trained(tmp_path)
    assert caught.value.code == "K420"


def test_a_run_without_checkpoints_says_how_to_continue(tiny_run: Path, tmp_path: Path):
    shutil.copy(tiny_run / "recipe.toml", tmp_path)
    with pytest.raises(CheckpointError) as caught:
        load_trained(tmp_path)
    assert caught.value.code == "K421"
    assert caught.value.help.endswith(f"pixelwise resume {tmp_path}")


def test_a_damaged_recipe_is_named(tmp_path: Path):
    (tmp_path / "recipe.toml").write_text("[")
    with pytest.raises(RecipeError, match=r"recipe\.toml") as caught:
        read_recipe(tmp_path)
    assert caught.value.code == "R205"


def test_weights_of_another_network_are_refused_with_the_differences(tiny_run: Path):
    checkpoint = load_trained(tiny_run).checkpoint
    with pytest.raises(CheckpointError, match=r"classifier\.weight \(16, 3, 3, 3\) .*\(16, 4") as caught:
        load_weights(build_model("enet-camvid-2021", num_classes=4), checkpoint, "model")
    assert caught.value.code == "K422"


def test_palettes_come_from_the_recipe_then_the_data_set_then_are_made():
    enet = recipe("enet-camvid")
    assert palette_of(enet) == CAMVID.palette
    own = apply_overrides(enet, ['data.classes=["a", "b"]', "data.palette=[[1,2,3],[4,5,6]]"])
    assert palette_of(own) == ((1, 2, 3), (4, 5, 6))
    assert len(palette_of(apply_overrides(enet, ['data.classes=["a", "b"]']))) == 2
