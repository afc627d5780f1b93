from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import PALETTE, GreyModel, write_dataset
from PIL import Image

from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.pictures import PICTURES, read_pictures
from pixelwise.training.pictures.predictions import PredictedImages, chosen_ids


@pytest.mark.parametrize(
    ("ids", "most", "chosen"),
    [
        ("", 3, ""),
        ("a", 3, "a"),
        ("ba", 3, "ab"),
        ("cba", 3, "abc"),
        ("abcdef", 3, "bdf"),
        ("abcdefghi", 3, "beh"),
        ("abcd", 1, "c"),
    ],
)
def test_images_are_evenly_spaced(ids: str, most: int, chosen: str):
    assert chosen_ids(list(ids), most) == list(chosen)


def colors(run: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(run / PICTURES / name).convert("RGBA"))


def draw(run: Path, dataset, step: int) -> None:
    predicted = PredictedImages(run, dataset, "val", step)
    evaluate_model(GreyModel(), dataset, "val", PROTOCOLS["native"], see=predicted.see)
    predicted.save()


@pytest.fixture
def dataset(tmp_path: Path):
    halves = np.zeros((8, 8), np.uint8)
    halves[:, 4:] = 3
    truth = np.full((8, 8), 1, np.uint8)
    truth[0] = 255
    return write_dataset(tmp_path / "data", [(halves, truth)] * 4, names=["d", "b", "a", "c"])


def test_predictions_and_truth_are_drawn_in_the_colours_of_the_classes(dataset, tmp_path: Path):
    draw(tmp_path, dataset, 5)
    found = read_pictures(tmp_path)
    assert (found.split, [one.id for one in found.images]) == ("val", ["a", "c", "d"])
    [moment] = found.moments
    assert moment.step == 5
    predicted = colors(tmp_path, moment.layers[1])
    assert (predicted[:, :4] == [*PALETTE[0], 255]).all()
    assert (predicted[:, 4:] == [*PALETTE[3], 255]).all()
    truth = colors(tmp_path, found.images[1].labels)
    assert (truth[1:] == [*PALETTE[1], 255]).all()
    assert (truth[0, :, 3] == 0).all()


def test_moments_are_added_and_photos_written_once(dataset, tmp_path: Path):
    draw(tmp_path, dataset, 5)
    before = read_pictures(tmp_path)
    (tmp_path / PICTURES / before.images[0].photo).write_bytes(b"as it was")
    draw(tmp_path, dataset, 10)
    draw(tmp_path, dataset, 10)  # an evaluation that is repeated after a stop
    found = read_pictures(tmp_path)
    assert found.images == before.images
    assert [moment.step for moment in found.moments] == [5, 10]
    assert (tmp_path / PICTURES / before.images[0].photo).read_bytes() == b"as it was"


def test_an_evaluation_that_was_stopped_leaves_nothing(dataset, tmp_path: Path):
    predicted = PredictedImages(tmp_path, dataset, "val", 5)
    evaluate_model(GreyModel(), dataset, "val", PROTOCOLS["native"], see=predicted.see)
    assert read_pictures(tmp_path).moments == ()


def test_other_images_replace_those_before(dataset, tmp_path: Path):
    draw(tmp_path, dataset, 5)
    fewer = write_dataset(tmp_path / "others", [(np.zeros((4, 4), np.uint8),) * 2], names=["x"])
    draw(tmp_path, fewer, 10)
    found = read_pictures(tmp_path)
    assert [one.id for one in found.images] == ["x"]
    assert [moment.step for moment in found.moments] == [10]
    assert len(found.moments[0].layers) == 1
