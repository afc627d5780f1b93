"""Images without a mask: they teach through a teacher alone, and count nowhere as labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.torch
import torch
from observers import Told
from PIL import Image
from torch import Tensor

import pixelwise
from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_to_learn
from pixelwise.datasets.samples import WITHOUT_MASKS, Dataset, Sample
from pixelwise.errors import CheckpointError, DataError, StoppedError
from pixelwise.observer import SILENT
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.environment import read_environment
from pixelwise.records.folds.division import Division, write_division
from pixelwise.records.run_folder import read_recipe
from pixelwise.records.status import TrainingStatus
from pixelwise.training.distillation.unlabelled import learning_without_labels, open_to_learn
from pixelwise.training.runs import resume, train
from pixelwise.training.setup import look_at_data

SHORT = ("schedule.iterations=3", "selection.every_epochs=0", "selection.weights=last")


@pytest.fixture
def partly(tiny_data: Path, tmp_path: Path) -> Path:
    """The tiny data, of whose training images only two have a mask."""
    folder = tmp_path / "partly"
    shutil.copytree(tiny_data, folder)
    masks = sorted((folder / "masks" / "train").iterdir())
    for mask in masks[2:]:
        mask.unlink()
    return folder


@pytest.fixture
def bare(tiny_data: Path, tmp_path: Path) -> Path:
    """The training images of the tiny data, in a folder without anything else."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny_data / "images" / "train", folder)
    return folder


def taught(tiny_recipe: Path, tiny_run: Path, *changes: str) -> Recipe:
    return apply_overrides(find(str(tiny_recipe)), [f"teacher={tiny_run}", *SHORT, *changes])


def number_of(folder: Path) -> int:
    return len(list(folder.iterdir()))


def test_what_a_fold_holds_out_is_not_without_a_mask(partly: Path, tiny_recipe: Path, tiny_run: Path, tmp_path: Path):
    for mask in (partly / "masks").rglob("*.png"):  # another ending than that of masks which are drawn here
        Image.open(mask).save(mask.with_suffix(".bmp"))
        mask.unlink()
    recipe = taught(tiny_recipe, tiny_run)
    whole = open_to_learn(recipe, partly)
    expected = {sample.image_path for sample in whole.splits[WITHOUT_MASKS]}
    labelled = {sample.id: sample.image_path for sample in open_dataset(recipe.data, partly).with_all().splits["all"]}
    first, *others = labelled
    run = tmp_path / "fold-0"
    write_division(run, Division(learned={"train": tuple(others)}, held_out=(first,)))
    learned = open_to_learn(recipe, partly, run)
    assert labelled[first] not in {sample.image_path for samples in learned.splits.values() for sample in samples}
    assert {sample.image_path for sample in learned.splits[WITHOUT_MASKS]} == expected


def test_images_without_a_mask_teach_and_are_counted_apart(partly: Path, tiny_recipe: Path, tiny_run: Path):
    images = number_of(partly / "images" / "train")
    alone = taught(tiny_recipe, tiny_run, "unlabelled=false")
    with pytest.raises(DataError) as caught:
        look_at_data(alone, partly, SILENT)
    assert caught.value.code == "D220"
    dataset, facts, recipe = look_at_data(taught(tiny_recipe, tiny_run), partly, SILENT)
    assert (facts.images["train"], facts.unlabelled, recipe.distillation.unlabelled_images) == (
        2,
        images - 2,
        images - 2,
    )
    assert recipe.distillation.with_labels
    assert len(dataset.splits[WITHOUT_MASKS]) == images - 2
    assert set(facts.statistics) == set(facts.images) == set(facts.splits)
    # What is counted is that of the two labelled images, and so is the fingerprint that other verbs know.
    (partly / "images" / "train").rename(partly / "elsewhere")
    (partly / "images" / "train").mkdir()
    for mask in (partly / "masks" / "train").iterdir():
        (image,) = (partly / "elsewhere").glob(f"{mask.stem}.*")
        shutil.copy2(image, partly / "images" / "train")
    shutil.rmtree(partly / "elsewhere")
    _, labelled, _ = look_at_data(alone, partly, SILENT)
    assert labelled.statistics == facts.statistics
    assert (labelled.fingerprint, labelled.class_weights) == (facts.fingerprint, facts.class_weights)


def test_every_pixel_of_an_image_without_a_mask_is_ignored(bare: Path, tiny_recipe: Path, tiny_run: Path):
    dataset = open_to_learn(taught(tiny_recipe, tiny_run), bare)
    sample = dataset.splits[WITHOUT_MASKS][0]
    image, labels = read_to_learn(sample, dataset)
    assert labels.shape == image.shape[:2]
    assert (labels.dtype, set(labels.ravel().tolist())) == (np.uint8, {255})
    several = msgspec.structs.replace(dataset, multilabel=True)
    assert set(read_to_learn(sample, several)[1].ravel().tolist()) == {1 << 30}


def test_names_that_do_not_agree_are_no_images_without_masks(partly: Path, tiny_recipe: Path, tiny_run: Path):
    for mask in (partly / "masks" / "train").iterdir():
        mask.rename(mask.with_name(f"other{mask.name}"))
    with pytest.raises(DataError) as caught:
        look_at_data(taught(tiny_recipe, tiny_run), partly, SILENT)
    assert caught.value.code in ("D220", "D222")


def test_a_folder_of_images_alone_takes_the_classes_of_the_teacher_and_has_no_score(
    bare: Path, tiny_recipe: Path, tiny_run: Path, tmp_path: Path
):
    phases: list[str] = []
    run = pixelwise.distill(
        str(tiny_recipe), bare, tmp_path / "run", teacher=tiny_run, threads=1,
        overrides=["schedule.iterations=2", "data.classes=none"], observer=Told(phase=phases.append),
    )  # fmt: skip
    recipe, facts = read_recipe(run), read_data_facts(run)
    assert recipe.data.class_names() == read_recipe(tiny_run).data.class_names()
    assert (recipe.distillation.with_labels, recipe.selection.every_epochs, recipe.selection.weights) == (
        False,
        0,
        "last",
    )
    assert (facts.images, facts.class_weights, facts.unlabelled) == ({"train": 0}, None, number_of(bare))
    assert any("has no score" in one for one in phases)
    assert not (Path(run) / "evaluations").exists()
    assert (Path(run) / "report.html").is_file()
    (origin,) = read_environment(run).derived_from
    assert f"it alone said what {number_of(bare)} images without labels show" in origin.in_words


def test_a_run_that_was_stopped_goes_on_with_the_same_images_bit_for_bit(
    partly: Path, tiny_recipe: Path, tiny_run: Path, tmp_path: Path
):
    recipe = taught(tiny_recipe, tiny_run, "checkpoints.every_steps=1", "checkpoints.keep=9")
    whole = train(recipe, partly, tmp_path / "whole", threads=1)

    def stop(status: TrainingStatus) -> None:
        if status.step == 2:
            raise StoppedError("I075", "stopped")

    with pytest.raises(StoppedError):
        train(recipe, partly, tmp_path / "parts", threads=1, observer=Told(step=stop))
    resume(tmp_path / "parts")
    one, other = weights_of(whole), weights_of(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)
    # One image more is other data.
    images = partly / "images" / "train"
    first = min(images.iterdir())
    shutil.copy2(first, images / f"another{first.suffix}")
    with pytest.raises(CheckpointError, match="without masks") as caught:
        resume(tmp_path / "parts", overrides=["schedule.iterations=4"])
    assert caught.value.code == "K431"


def weights_of(run: Path) -> dict[str, Tensor]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.step == 3
    return safetensors.torch.load_file(checkpoint.path / "model.safetensors")


def test_what_needs_labels_stays_where_there_are_some(tiny_data: Path, tiny_recipe: Path, tiny_run: Path):
    recipe = taught(tiny_recipe, tiny_run)
    assert learning_without_labels(recipe, open_to_learn(recipe, tiny_data), SILENT) == recipe
    scored = open_dataset(recipe.data, tiny_data)
    assert isinstance(scored, Dataset)
    assert WITHOUT_MASKS not in scored.splits
    assert Sample("a", Path("a.png"), None).is_labelled is False
    assert Sample("a", Path("a.png"), None, (None, None)).is_labelled
