from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.pictures import PICTURES, read_pictures
from pixelwise.training.batches import Batch, TrainingPairs, training_batches
from pixelwise.training.pictures.batch import draw_batch, recolored
from pixelwise.transforms.color import apply_color


@pytest.fixture
def pairs(tiny_data: Path, tiny_recipe: Path):
    """Pairs and recipe of the training split, with changes."""

    def made(*changes: str):
        recipe = apply_overrides(find_recipe(str(tiny_recipe)), list(changes))
        dataset = open_dataset(recipe.data, tiny_data)
        return TrainingPairs(dataset, dataset.samples("train"), recipe), recipe

    return made


def test_the_colour_matrix_is_applied_as_in_training():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    color = random.normal(0.4, 0.4, (3, 4)).astype(np.float32)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    expected = apply_color(tensor, torch.from_numpy(color)[None])[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(recolored(image, color) - expected).max() <= 0.51


@pytest.mark.parametrize(
    "changes", [(), ("augment.mix=cutmix", "augment.mix_probability=1"), ("augment.brightness=0",)]
)
def test_what_is_drawn_is_the_first_batch_of_the_training(changes: tuple[str, ...], pairs, tmp_path: Path):
    from_training, recipe = pairs(*changes)
    draw_batch(tmp_path, from_training, recipe)
    drawn = read_pictures(tmp_path).batch
    batches = training_batches(from_training, recipe, start=0, steps=1, workers=0, warn=lambda code, text: None)
    first: Batch = next(batches)
    assert [one.id for one in drawn] == first.ids[:8]
    palette = np.array(from_training.dataset.palette)
    for number, picture in enumerate(drawn):
        colors = np.asarray(Image.open(tmp_path / PICTURES / picture.labels).convert("RGBA"))
        labels = first.labels[number].numpy()
        labelled = labels != 255
        assert colors.shape[:2] == labels.shape
        assert (colors[labelled][:, :3] == palette[labels[labelled]]).all()
        photo = np.asarray(Image.open(tmp_path / PICTURES / picture.photo).convert("RGB")).astype(float)
        seen = first.images[number].numpy()
        seen = seen if first.colors is None else recolored(seen, first.colors[number].numpy())
        assert np.abs(photo.mean((0, 1)) - seen.mean((0, 1))).max() < 4


def test_a_batch_is_drawn_once(pairs, tmp_path: Path):
    draw_batch(tmp_path, *pairs())
    before = read_pictures(tmp_path)
    (tmp_path / PICTURES / before.batch[0].photo).unlink()
    draw_batch(tmp_path, *pairs("sampling.seed=5"))
    assert read_pictures(tmp_path) == before
    assert not (tmp_path / PICTURES / before.batch[0].photo).exists()


def test_drawing_draws_no_random_numbers_of_the_training(pairs, tmp_path: Path):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    draw_batch(tmp_path, *pairs())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_an_unreadable_image_is_left_to_the_training(pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from pixelwise.errors import DataError

    from_training, recipe = pairs()
    monkeypatch.setattr(TrainingPairs, "__getitem__", lambda self, key: DataError("D101", "truncated"))
    draw_batch(tmp_path, from_training, recipe)
    assert read_pictures(tmp_path).batch == ()
