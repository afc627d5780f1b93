"""What teachers say of a view is computed once: it is what they would say, and the same network learns from it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from observers import Told
from torch import Tensor

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import PixelwiseError, RecipeError, StoppedError
from pixelwise.models import build_model
from pixelwise.observer import SILENT
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import read_recipe
from pixelwise.records.status import TrainingStatus
from pixelwise.storage.cache_contents import cache
from pixelwise.storage.caches import cache_folder
from pixelwise.training.batches import TrainingPairs
from pixelwise.training.distillation.identity import with_teachers
from pixelwise.training.distillation.kept import TaughtPairs, keep_taught
from pixelwise.training.distillation.teachers import Sighted, Teachers
from pixelwise.training.distillation.unlabelled import open_to_learn
from pixelwise.training.runs import resume, train
from pixelwise.training.sampling.draws import learned_samples
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.training.step import prepare

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settings(tiny_run: Path, *changes: str) -> Recipe:
    asked = [f"teacher={tiny_run}", "cache_views=2", "augment.brightness=0.3", "augment.flip=0.5", *changes]
    return with_teachers(apply_overrides(read_recipe(tiny_run), asked))


def begun(chosen: Recipe, data: Path) -> tuple[TrainingPairs, TrainingState, Teachers]:
    dataset, state = open_to_learn(chosen, data), begin_state(build_model(chosen), chosen, CPU)
    assert isinstance(state.teachers, Teachers)
    return TrainingPairs(dataset, learned_samples(dataset, chosen), chosen), state, state.teachers


def phases_of(chosen: Recipe, data: Path) -> list[str]:
    phases: list[str] = []
    pairs, state, teachers = begun(chosen, data)
    keep_taught(pairs, chosen, state, teachers, Told(phase=phases.append))
    assert [one for one in phases if one.startswith("keeping")] == [
        one for one in phases if one.endswith(" MB of the disk")
    ]
    return [one for one in phases[1:] if not one.startswith("keeping")]


@pytest.mark.parametrize("match", ["logits", "channels"])
@pytest.mark.parametrize("views", ["image", "flip"])
def test_what_is_kept_is_what_the_teachers_say_of_the_same_view(
    views: str, match: str, tiny_run: Path, tiny_data: Path
):
    chosen = settings(tiny_run, f"views={views}", f"match={match}", "temperature=2")
    pairs, state, teachers = begun(chosen, tiny_data)
    known = keep_taught(pairs, chosen, state, teachers, SILENT)
    for epoch in (0, 1):
        batch = known.collate(known.__getitems__([(epoch, 3), (epoch, 5)]))
        again = known.collate(known.__getitems__([(epoch + 2, 3), (epoch + 2, 5)]))
        drawn = pairs.collate(pairs.__getitems__([(epoch, 3), (epoch, 5)]))
        assert not isinstance(batch, PixelwiseError)
        assert not isinstance(again, PixelwiseError)
        assert not isinstance(drawn, PixelwiseError)
        assert torch.equal(batch.images, drawn.images)
        assert torch.equal(batch.images, again.images)
        assert batch.taught is not None
        assert again.taught is not None
        assert (batch.taught.dtype, torch.equal(batch.taught, again.taught)) == (torch.float16, True)
        images, _ = prepare(drawn, state.model.preprocessing, CPU, False)
        with torch.no_grad():
            like = state.model.eval().head_logits(images)[0]
        wanted = teachers.say(images, like)
        torch.testing.assert_close(teachers.say(images, like, batch.taught), wanted, rtol=0.01, atol=1e-6)
        # Of one answer, other sizes than the teacher's are its resized logits, too.
        if views == "image":
            other = like[..., : like.shape[2] // 2, : like.shape[3] // 2]
            torch.testing.assert_close(
                teachers.say(images, other, batch.taught), teachers.say(images, other), rtol=0.01, atol=1e-6
            )


def test_the_answers_are_computed_once_for_all_networks_and_again_for_another_view(tiny_run: Path, tiny_data: Path):
    chosen = settings(tiny_run)
    assert phases_of(chosen, tiny_data) == ["computing the teachers' answers"]
    assert phases_of(chosen, tiny_data) == []
    # One answer has every temperature in it; another augmentation is another view, and one more view is added.
    assert phases_of(apply_overrides(chosen, ["temperature=3", "match=channels"]), tiny_data) == []
    files = {path: path.stat().st_mtime_ns for path in cache_folder().glob("taught/*/view-*")}
    assert phases_of(apply_overrides(chosen, ["cache_views=3"]), tiny_data) == ["computing the teachers' answers"]
    assert {path: path.stat().st_mtime_ns for path in files} == files
    (listed,) = cache(["taught"]).kinds
    assert ["3 views of" in one.about for one in listed.entries] == [True]
    assert phases_of(apply_overrides(chosen, ["augment.flip=0"]), tiny_data) == ["computing the teachers' answers"]


def test_damaged_answers_are_an_error_and_computed_again(tiny_run: Path, tiny_data: Path):
    chosen = settings(tiny_run, "cache_views=1")
    pairs, state, teachers = begun(chosen, tiny_data)
    known = keep_taught(pairs, chosen, state, teachers, SILENT)
    expected = known.answer((0, 0)).copy()
    (path,) = cache_folder().glob("taught/*/view-0")
    content = bytearray(path.read_bytes())
    content[80] ^= 1
    path.write_bytes(content)
    batch = TaughtPairs(pairs, chosen, [path])
    error = batch.collate(batch.__getitems__([(0, 0)]))
    assert isinstance(error, PixelwiseError)
    assert error.code == "D135"
    again = keep_taught(pairs, chosen, state, teachers, SILENT)
    assert np.array_equal(again.answer((0, 0)), expected)


def test_mixed_images_have_no_lasting_answer(tiny_run: Path):
    with pytest.raises(RecipeError, match="cache_views keeps what teachers say of single images"):
        settings(tiny_run, "augment.mix=cutmix")


def test_a_run_asks_no_teacher_and_goes_on_bit_for_bit(
    tiny_run: Path, tiny_recipe: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = apply_overrides(
        find(str(tiny_recipe)),
        [f"teacher={tiny_run}", "cache_views=2", "schedule.iterations=3", "selection.every_epochs=0",
         "selection.weights=last", "checkpoints.every_steps=1"],
    )  # fmt: skip
    whole = train(recipe, tiny_data, tmp_path / "whole", threads=1)
    asked = []
    # The cache has what it needs, so that no teacher looks at an image.
    monkeypatch.setattr(Sighted, "logits", lambda *given: asked.append(given))

    def stop(status: TrainingStatus) -> None:
        if status.step == 2:
            raise StoppedError("I075", "stopped")

    with pytest.raises(StoppedError):
        train(recipe, tiny_data, tmp_path / "parts", threads=1, observer=Told(step=stop))
    resume(tmp_path / "parts")
    assert asked == []
    one, other = weights_of(whole), weights_of(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)


def weights_of(run: Path) -> dict[str, Tensor]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.step == 3
    return safetensors.torch.load_file(os.fspath(checkpoint.path / "model.safetensors"))
