from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn

from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.preprocessing import normalize
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import Teacher, read_environment, write_environment
from pixelwise.records.run_folder import read_recipe
from pixelwise.training.distillation import teachers as teachers_module
from pixelwise.training.distillation.identity import with_teachers
from pixelwise.training.distillation.teachers import Teachers, load_teachers

CPU = torch.device("cpu")


def student(tiny_run: Path, *changes: str) -> tuple[Recipe, SegmentationModel]:
    """A recipe that learns from the tiny run, and its network."""
    recipe = with_teachers(apply_overrides(read_recipe(tiny_run), [f"teacher={tiny_run}", *changes]))
    return recipe, build_model(recipe)


def loaded(recipe: Recipe, model: SegmentationModel) -> Teachers:
    found = load_teachers(recipe, model, CPU)
    assert isinstance(found, Teachers)
    return found


def images_of(preprocessing: Preprocessing) -> Tensor:
    raw = torch.randint(0, 256, (2, 32, 48, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return normalize(raw, preprocessing)


def test_a_teacher_says_what_its_run_predicts(tiny_run: Path):
    recipe, model = student(tiny_run)
    state = torch.get_rng_state()
    teachers = loaded(recipe, model)
    assert torch.equal(torch.get_rng_state(), state)
    images, trained = images_of(model.preprocessing), load_trained(tiny_run)
    with torch.no_grad():
        theirs = trained.model.head_logits(images)[0]
        like = model.eval().head_logits(images)[0]
    said = teachers.say(images, like)
    torch.testing.assert_close(said, theirs.softmax(1))
    assert not said.requires_grad
    assert teachers.loss(theirs, said).item() == pytest.approx(0, abs=1e-6)
    assert teachers.loss(like, said).item() > 1e-4
    (record,) = teachers.records
    assert (record.recipe, record.weights_sha256) == (trained.recipe.name, trained.weights_sha256)
    # At half the size its logits, and not its probabilities, are resized.
    half = nn.functional.interpolate(theirs, (like.shape[2] // 2, like.shape[3] // 2), mode="bilinear")
    torch.testing.assert_close(teachers.say(images, half), half.softmax(1))


def test_a_network_with_another_normalisation_shows_the_teacher_its_own(tiny_run: Path):
    changes = ["model.preprocessing.mean=[0.2,0.5,0.7]", "model.preprocessing.std=[0.5,0.1,2]"]
    (own, first), (other, second) = student(tiny_run), student(tiny_run, *changes)
    like = first.eval().head_logits(images_of(first.preprocessing))[0]
    expected = loaded(own, first).say(images_of(first.preprocessing), like)
    torch.testing.assert_close(loaded(other, second).say(images_of(second.preprocessing), like), expected)


def test_views_and_several_teachers_are_averaged(tiny_run: Path):
    recipe, model = student(tiny_run)
    images, once = images_of(model.preprocessing), loaded(recipe, model)
    like = model.eval().head_logits(images)[0]
    straight, mirrored = once.say(images, like), once.say(images.flip(3), like).flip(3)
    assert not torch.allclose(straight, mirrored, atol=1e-3)
    flipped = loaded(apply_overrides(recipe, ["views=flip"]), model).say(images, like)
    torch.testing.assert_close(flipped, (straight + mirrored) / 2)
    twice = apply_overrides(recipe, {"distillation.teacher": [str(tiny_run)] * 2})
    both = loaded(with_teachers(twice), model)
    torch.testing.assert_close(both.say(images, like), straight)
    assert len(both.records) == 2


def test_classes_in_another_order_are_matched_by_name(tiny_run: Path):
    recipe, model = student(tiny_run)
    images = images_of(model.preprocessing)
    like = model.eval().head_logits(images)[0]
    expected = loaded(recipe, model).say(images, like)
    names = model.classes
    model.classes = (*names[1:], names[0].upper())
    torch.testing.assert_close(loaded(recipe, model).say(images, like), expected.roll(-1, 1))


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("a",)])
def test_other_classes_are_refused(classes: tuple[str, ...], tiny_run: Path):
    recipe, model = student(tiny_run)
    model.classes = classes
    with pytest.raises(CheckpointError, match=rf"tiny has 3 classes \(.*\), this network {len(classes)} \(") as caught:
        load_teachers(recipe, model, CPU)
    assert caught.value.code == "K453"


def test_other_channels_and_several_labels_are_refused(tiny_run: Path):
    recipe, model = student(tiny_run)
    bands = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, channels=(3, 2, 1)))
    with pytest.raises(CheckpointError, match=r"tiny sees RGB, this network the bands 3, 2, 1") as caught:
        load_teachers(bands, model, CPU)
    assert caught.value.code == "K453"
    model.multilabel = True
    with pytest.raises(CheckpointError, match=r"this network 3 \(multi-label ") as caught:
        load_teachers(recipe, model, CPU)
    assert caught.value.code == "K453"


def test_another_range_of_values_is_refused(tiny_run: Path, monkeypatch: pytest.MonkeyPatch):
    recipe, model = student(tiny_run, "data.input_range=[0,4095]")
    assert load_teachers(recipe, model, CPU) is not None  # a teacher of images of 8 bits
    trained = load_trained(tiny_run)
    ranged = msgspec.structs.replace(trained, recipe=apply_overrides(trained.recipe, ["data.input_range=[0,65535]"]))
    monkeypatch.setattr(teachers_module, "load_trained", lambda folder: ranged)
    with pytest.raises(CheckpointError, match=r"sees the values \[0\.0, 65535\.0\]") as caught:
        load_teachers(recipe, model, CPU)
    assert caught.value.code == "K453"


def test_the_teachers_of_a_teacher_are_known(tiny_run: Path, tmp_path: Path):
    first = Teacher(recipe="large", step=9, weights_sha256="ab" * 32, licence="MIT")
    taught = Path(shutil.copytree(tiny_run, tmp_path / "taught"))
    write_environment(taught, msgspec.structs.replace(read_environment(taught), teachers=(first,)))
    (record,) = loaded(*student(taught)).records
    assert record.derived_from == (first.alone,)


def test_weights_that_changed_since_the_run_began_are_refused(tiny_run: Path):
    recipe, model = student(tiny_run)
    other = apply_overrides(recipe, [f"distillation.teacher_sha256=[{'0' * 64}]"])
    with pytest.raises(CheckpointError) as caught:
        load_teachers(other, model, CPU)
    assert caught.value.code == "K452"
    assert load_teachers(read_recipe(tiny_run), model, CPU) is None
