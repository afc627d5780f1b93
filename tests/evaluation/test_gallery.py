from __future__ import annotations

import math

import numpy as np
import pytest
from evaluation.color_model import CLASSES, PALETTE, GreyModel, write_dataset
from PIL import Image

from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.gallery import choose_samples, load_samples, save_samples
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.records.result import ImageScore


def score(number: int, miou: float) -> ImageScore:
    return ImageScore(id=f"{number:03d}", miou=miou, pixel_accuracy=miou, labelled_pixels=10)


def chosen(count: int) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {"worst": [], "median": [], "best": []}
    for kind, entry in choose_samples([score(number, number / count) for number in range(count)]):
        groups[kind].append(int(entry.id))
    return groups


def test_the_worst_six_the_middle_three_and_the_best_three_are_chosen():
    assert chosen(101) == {"worst": [0, 1, 2, 3, 4, 5], "median": [49, 50, 51], "best": [100, 99, 98]}


@pytest.mark.parametrize("count", range(14))
def test_few_images_are_shown_at_most_once(count):
    groups = chosen(count)
    shown = groups["worst"] + groups["median"] + groups["best"]

    assert len(shown) == len(set(shown)) == min(count, 12)


def test_a_single_image_is_the_worst():
    assert chosen(1) == {"worst": [0], "median": [], "best": []}


def test_equal_scores_are_ordered_by_id_and_unlabelled_images_left_out():
    scores = [score(2, 0.5), score(1, 0.5), score(0, math.nan)]

    assert [(kind, entry.id) for kind, entry in choose_samples(scores)] == [("worst", "001"), ("best", "002")]


@pytest.fixture
def dataset(tmp_path):
    generator = np.random.default_rng(0)
    pairs = []
    for number in range(4):
        truth = np.repeat(np.repeat(generator.integers(0, 4, (3, 4)), 4, 0), 4, 1).astype(np.uint8)
        predicted = truth.copy()
        predicted[:number] = (predicted[:number] + 1) % 4
        truth[0, 0] = 255
        pairs.append((predicted, truth))
    return write_dataset(tmp_path / "data", pairs, names=[f"street <{number}>/x" for number in range(4)])


def save(dataset, folder, protocol: Protocol = PROTOCOLS["native"]):
    model = GreyModel().train()
    measurement = evaluate_model(model, dataset, "val", protocol)
    return save_samples(model, dataset, measurement, folder)


def test_pictures_show_photo_truth_and_prediction_of_the_image(dataset, tmp_path):
    saved = save(dataset, tmp_path / "samples")

    worst = saved.samples[0]
    assert (worst.kind, worst.score.id) == ("worst", "street <3>/x")
    prediction = np.asarray(Image.open(tmp_path / "samples" / worst.prediction))
    truth = np.asarray(Image.open(tmp_path / "samples" / worst.truth))
    assert truth[0, 0] == 255
    assert (prediction != truth)[:3, 1:].all()
    assert np.array_equal(prediction[3:], truth[3:])
    photo = np.asarray(Image.open(tmp_path / "samples" / worst.photo).convert("RGB"))
    assert photo.shape == (*truth.shape, 3)
    assert np.abs(photo[..., 0].astype(int) - 60 * prediction).mean() < 12


def test_the_listing_survives_the_disk(dataset, tmp_path):
    saved = save(dataset, tmp_path / "samples")

    loaded = load_samples(tmp_path / "samples")

    assert loaded == saved
    assert saved.classes == CLASSES
    assert saved.palette == PALETTE


def test_every_picture_is_named_by_number_whatever_the_image_is_called(dataset, tmp_path):
    save(dataset, tmp_path / "samples")

    names = sorted(path.name for path in (tmp_path / "samples").iterdir())

    assert names[:3] == ["00-photo.jpg", "00-prediction.png", "00-truth.png"]
    assert all(path.is_file() for path in (tmp_path / "samples").iterdir())


def test_pictures_are_at_the_score_size(dataset, tmp_path):
    saved = save(dataset, tmp_path / "samples", Protocol(name="half", summary="", score_size=(6, 8)))

    assert (saved.samples[0].height, saved.samples[0].width) == (6, 8)
    assert Image.open(tmp_path / "samples" / saved.samples[0].photo).size == (8, 6)


def test_padding_and_class_ids_are_as_in_the_score(tmp_path):
    # Three columns padded to four and doubled: a prediction that kept the padding would show it.
    labels = np.array([[0, 1, 2]], np.uint8)
    dataset = write_dataset(tmp_path / "data", [(labels, labels)])
    protocol = Protocol(name="x", summary="", argmax_at="input", pad_to=(1, 4), score_size=(1, 6))

    saved = save(dataset, tmp_path / "samples", protocol)

    prediction = np.asarray(Image.open(tmp_path / "samples" / saved.samples[0].prediction))
    assert prediction.tolist() == [[0, 0, 1, 1, 2, 2]]


def test_large_pictures_are_shrunk_to_what_a_screen_shows(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("pixelwise.evaluation.gallery.LONGEST_SIDE", 8)

    saved = save(dataset, tmp_path / "samples")

    assert (saved.samples[0].height, saved.samples[0].width) == (6, 8)


def test_the_mode_of_the_model_is_restored(dataset, tmp_path):
    model = GreyModel().train()
    measurement = evaluate_model(model, dataset, "val", PROTOCOLS["native"])

    save_samples(model, dataset, measurement, tmp_path / "samples")

    assert model.training


def test_a_folder_without_listing_has_no_samples(tmp_path):
    assert load_samples(tmp_path) is None
