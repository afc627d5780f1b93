from __future__ import annotations

import math

import numpy as np
import pytest
from evaluation.color_model import CLASSES, PALETTE, GreyModel, write_dataset
from PIL import Image
from reports.two_classes import write_two_class_run

from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.gallery import MOST_SAMPLES, choose_samples, further_samples, save_samples
from pixelwise.observer import Observer
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.records.details import ConfusedPixels, ImageDetails, load_samples
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


def further(count: int, details: list[ImageDetails], **options) -> list[tuple[str, int]]:
    scores = [score(number, number / count) for number in range(count)]
    found = further_samples(scores, details, choose_samples(scores), **options)
    return [(kind, int(entry.id)) for kind, entry in found]


def confused(number: int, truth: int, prediction: int, pixels: int, *, near: int = 0) -> ImageDetails:
    cell = ConfusedPixels(truth, prediction, pixels)
    return ImageDetails(id=f"{number:03d}", confusion=(cell,), near=near, near_wrong=near)


def test_further_images_show_the_frequent_confusions_and_then_wrong_regions():
    details = [
        confused(20, 0, 1, 500, near=500),
        confused(21, 0, 1, 900, near=900),
        confused(22, 0, 1, 800, near=800),
        confused(23, 1, 0, 700, near=100),
        confused(24, 1, 1, 10**6),
    ]

    assert further(101, details, most=15) == [("confused", 21), ("confused", 23), ("confused", 22)]
    details[0] = confused(20, 0, 1, 500, near=0)
    assert further(101, details, most=16)[3:] == [("wrong-regions", 20)]


def test_the_rest_is_spread_over_the_scores():
    assert further(101, [], most=16) == [("spread", number) for number in (17, 39, 64, 86)]


@pytest.mark.parametrize("count", [0, 1, 5, 13, 36, 40, 101])
def test_no_image_is_chosen_twice_or_left_out_without_need(count):
    scores = [score(number, number / count) for number in range(count)]
    details = [confused(number, 0, number % 3, number) for number in range(count)]
    first = choose_samples(scores)

    shown = [entry.id for _, entry in (*first, *further_samples(scores, details, first))]

    assert len(shown) == len(set(shown)) == min(count, MOST_SAMPLES)


def test_unlabelled_images_are_never_shown():
    assert further_samples([score(0, math.nan)], [confused(0, 0, 1, 5)], []) == []


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
    return save_samples(model, dataset, measurement, folder).samples


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


def test_a_network_that_is_sure_finds_suspects(tmp_path):
    labels, predicted = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    predicted[10:20, 10:30] = 2
    dataset = write_dataset(tmp_path / "data", [(predicted, labels)])
    model = GreyModel()
    measurement = evaluate_model(model, dataset, "val", PROTOCOLS["native"])
    sharp = _Sharp()

    (unsure,) = [save_samples(model, dataset, measurement, tmp_path / "unsure").suspects]
    found = save_samples(sharp, dataset, measurement, tmp_path / "sure").suspects

    assert unsure == []
    assert found is not None
    assert [(one.labelled, one.predicted, one.pixels) for one in found] == [("grass", "pond", 200)]


class _Sharp(GreyModel):
    """The same decisions with probabilities close to 1."""

    def head_logits(self, images):
        return tuple(1000 * logits for logits in super().head_logits(images))


def test_probabilities_are_kept_where_a_class_is_a_question_of_yes_or_no(tmp_path):
    write_two_class_run(tmp_path / "run", images=1)
    folder = next((tmp_path / "run" / "evaluations").iterdir()) / "samples"

    (sample,) = load_samples(folder).samples

    (found,) = sample.levels
    assert (found.class_id, found.picture) == (1, "00-probability-1.webp")
    assert sum(found.labelled) + sum(found.other) == sample.score.labelled_pixels
    assert Image.open(folder / found.picture).size == (sample.width, sample.height)


def test_of_several_classes_that_exclude_each_other_no_probabilities_are_kept(dataset, tmp_path):
    saved = save(dataset, tmp_path / "samples")

    assert all(sample.levels == () for sample in saved.samples)


def test_every_picture_is_a_step_of_a_phase(dataset, tmp_path):
    seen = []

    class Watch(Observer):
        def phase(self, name, unit=""):
            seen.append(name)

        def progress(self, done, total):
            seen.append((done, total))

    model = GreyModel()
    measurement = evaluate_model(model, dataset, "val", PROTOCOLS["native"])

    save_samples(model, dataset, measurement, tmp_path / "samples", Watch())

    assert seen == ["drawing pictures", *((number, 4) for number in range(1, 5))]


def test_the_mode_of_the_model_is_restored(dataset, tmp_path):
    model = GreyModel().train()
    measurement = evaluate_model(model, dataset, "val", PROTOCOLS["native"])

    save_samples(model, dataset, measurement, tmp_path / "samples")

    assert model.training


def test_a_folder_without_listing_has_no_samples(tmp_path):
    assert load_samples(tmp_path) is None
