from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from evaluation.color_model import CLASSES, GreyModel, image_of, write_dataset

from pixelwise.errors import CheckpointError, DataError, RecipeError, StoppedError
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.tally import Measurement
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Precision

NATIVE = PROTOCOLS["native"]


def measure(*arguments, **options) -> Measurement:
    return evaluate_model(*arguments, **options)


def random_pairs(count: int, sizes=((12, 16),), seed: int = 0):
    generator = np.random.default_rng(seed)
    pairs = []
    for number in range(count):
        size = sizes[number % len(sizes)]
        truth = generator.integers(0, 4, size).astype(np.uint8)
        truth[generator.random(size) < 0.1] = 255
        pairs.append((generator.integers(0, 4, size).astype(np.uint8), truth))
    return pairs


def test_the_confusion_matrix_counts_every_labelled_pixel_of_the_split_once(two_images):
    found = measure(GreyModel(), two_images, "val", NATIVE)

    # 10 grass (6 + 4), 7 path, 2 pond of which one was taken for path; the void pixel counts nowhere.
    assert found.counts.tolist() == [[10, 0, 0, 0], [0, 7, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert found.counts.dtype == np.int64


def test_scores_are_those_of_the_whole_matrix(two_images):
    found = measure(GreyModel(), two_images, "val", NATIVE)

    assert found.values["iou"].per_class[:3] == (1.0, 7 / 8, 1 / 2)
    assert math.isnan(found.values["iou"].per_class[3])
    assert found.miou == pytest.approx((1 + 7 / 8 + 1 / 2) / 3, abs=0)
    assert found.pixel_accuracy == 18 / 19
    assert found.per_class_iou == [1.0, 7 / 8, 1 / 2, None]


def test_absent_classes_count_as_the_protocol_says(two_images):
    zero = Protocol(name="zero", summary="", absent="zero")

    assert measure(GreyModel(), two_images, "val", zero).miou == pytest.approx((1 + 7 / 8 + 1 / 2) / 4)


def test_each_image_has_its_own_scores(two_images):
    first, second = measure(GreyModel(), two_images, "val", NATIVE).per_image

    assert (first.id, first.labelled_pixels, first.pixel_accuracy) == ("image-00", 11, 10 / 11)
    assert first.miou == pytest.approx((1 + 3 / 4 + 1 / 2) / 3)
    assert (second.id, second.miou, second.labelled_pixels) == ("image-01", 1.0, 8)


def test_the_worst_image_of_each_class_is_known(two_images):
    grass, path, pond, hut = measure(GreyModel(), two_images, "val", NATIVE).class_extents

    assert (grass.images, grass.worst_image, grass.worst_image_iou) == (2, "image-00", 1.0)
    assert (path.images, path.worst_image, path.worst_image_iou) == (2, "image-00", 3 / 4)
    assert (pond.images, pond.worst_image, pond.worst_image_iou) == (1, "image-00", 1 / 2)
    assert (hut.images, hut.worst_image) == (0, None)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_the_batch_size_changes_nothing(tmp_path, batch_size):
    dataset = write_dataset(tmp_path, random_pairs(7, sizes=((12, 16), (12, 16), (9, 5))))
    alone = measure(GreyModel(stride=2), dataset, "val", NATIVE)

    together = measure(GreyModel(stride=2), dataset, "val", NATIVE, batch_size=batch_size)

    assert np.array_equal(alone.counts, together.counts)
    assert alone.per_image == together.per_image


def test_images_of_equal_size_share_a_forward_pass(tmp_path):
    dataset = write_dataset(tmp_path, random_pairs(5, sizes=((12, 16),)))
    model = GreyModel()

    measure(model, dataset, "val", NATIVE, batch_size=2)

    assert model.sizes == [(2, 3, 12, 16), (2, 3, 12, 16), (1, 3, 12, 16)]


def test_the_network_sees_the_input_size_but_the_score_is_taken_at_the_labels_own(tmp_path):
    truth = np.zeros((8, 8), np.uint8)
    truth[:, 4:] = 1
    dataset = write_dataset(tmp_path, [(truth, truth)])
    model = GreyModel()

    found = measure(model, dataset, "val", NATIVE, input_size=(4, 4))

    assert model.sizes == [(1, 3, 4, 4)]
    assert found.input_size == (4, 4)
    assert found.counts.sum() == 64


def test_a_protocol_with_sizes_of_its_own_decides_over_the_recipe(tmp_path):
    truth = np.zeros((8, 16), np.uint8)
    truth[:, 8:] = 2
    dataset = write_dataset(tmp_path, [(truth, truth)])
    halved = Protocol(name="halved", summary="", input_size=(4, 8), score_size=(4, 8))
    model = GreyModel()

    found = measure(model, dataset, "val", halved, input_size=(3, 3))

    assert model.sizes == [(1, 3, 4, 8)]
    assert found.input_size == (4, 8)
    assert found.counts.sum() == 32
    assert found.miou == 1.0


def test_an_enlarged_image_is_not_sharpened_into_new_classes(tmp_path):
    # Nearest labels and bilinear images: a 2x2 checkerboard of ids stays ids.
    dataset = write_dataset(tmp_path, [(np.full((4, 4), 3, np.uint8), np.full((4, 4), 3, np.uint8))])

    found = measure(GreyModel(), dataset, "val", Protocol(name="big", summary="", score_size=(9, 7)))

    assert found.counts[3, 3] == 63


def test_every_module_is_afterwards_in_the_mode_it_was_in(two_images):
    model = GreyModel().train()
    model.dropout.eval()

    measure(model, two_images, "val", NATIVE)

    assert model.training
    assert not model.dropout.training


def test_a_model_in_training_mode_is_scored_in_evaluation_mode(two_images):
    assert measure(GreyModel().train(), two_images, "val", NATIVE).pixel_accuracy == 18 / 19


def test_no_gradients_are_kept(two_images):
    model = GreyModel()

    measure(model, two_images, "val", NATIVE)

    assert model.centres.grad is None
    assert model.centres.requires_grad


def test_bfloat16_is_close_to_float32(tmp_path):
    dataset = write_dataset(tmp_path, random_pairs(3))

    rounded = measure(GreyModel(), dataset, "val", NATIVE, precision=Precision(dtype="bfloat16", channels_last=True))

    assert rounded.pixel_accuracy == measure(GreyModel(), dataset, "val", NATIVE).pixel_accuracy


def test_progress_is_reported_after_every_batch(tmp_path):
    seen = []
    dataset = write_dataset(tmp_path, random_pairs(5))

    measure(
        GreyModel(),
        dataset,
        "val",
        NATIVE,
        batch_size=2,
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_a_stopped_evaluation_gives_no_result_and_restores_the_mode(tmp_path):
    dataset = write_dataset(tmp_path, random_pairs(20))
    model = GreyModel().train()
    before = threading.active_count()

    def progress(done: int, total: int) -> None:
        if done == 3:
            raise StoppedError("I074", f"stopped after {done} of {total}")

    with pytest.raises(StoppedError, match="3 of 20") as caught:
        evaluate_model(model, dataset, "val", NATIVE, progress=progress)

    assert caught.value.exit_code == 75
    assert len(model.sizes) == 3
    assert model.training
    assert threading.active_count() == before


def test_an_unreadable_image_ends_the_evaluation_with_its_name(tmp_path):
    dataset = write_dataset(tmp_path, random_pairs(4))
    dataset.splits["val"][2].image_path.write_bytes(b"not an image")
    model = GreyModel().train()

    with pytest.raises(DataError, match=r"image-02\.png") as caught:
        evaluate_model(model, dataset, "val", NATIVE)

    assert caught.value.code == "D102"
    assert model.training


def test_a_missing_split_is_named(two_images):
    with pytest.raises(DataError, match="'test'") as caught:
        evaluate_model(GreyModel(), two_images, "test", NATIVE)

    assert caught.value.code == "D221"


def test_a_model_of_other_classes_is_refused(two_images):
    with pytest.raises(CheckpointError, match=r"2 classes \(a, b\).*\b4 \(") as caught:
        evaluate_model(GreyModel(("a", "b")), two_images, "val", NATIVE)

    assert caught.value.code == "K406"


def test_the_same_classes_in_another_order_are_matched_by_name(two_images):
    model = GreyModel(CLASSES[::-1])
    backwards = evaluate_model(model, two_images, "val", NATIVE)

    assert backwards.task.classes == CLASSES[::-1]
    # The model predicts id k for grey level k: under the other names, every hit is a hit of class 3 - k.
    straight = evaluate_model(GreyModel(CLASSES), two_images, "val", NATIVE).counts
    np.testing.assert_array_equal(backwards.counts, straight[::-1])


def test_the_same_number_of_classes_under_other_names_is_fine(two_images):
    model = GreyModel(("class_0", "class_1", "class_2", "class_3"))

    assert measure(model, two_images, "val", NATIVE).images == 2


def test_an_all_void_image_has_no_score_of_its_own(tmp_path):
    predicted = np.zeros((4, 4), np.uint8)
    dataset = write_dataset(tmp_path, [(predicted, np.full((4, 4), 255, np.uint8)), (predicted, predicted)])

    found = measure(GreyModel(), dataset, "val", NATIVE)

    assert math.isnan(found.per_image[0].miou)
    assert found.per_image[0].labelled_pixels == 0
    assert found.miou == 1.0


def test_time_and_memory_are_measured(two_images):
    found = measure(GreyModel(), two_images, "val", NATIVE)

    assert found.seconds > 0
    assert found.peak_memory_bytes > 10_000_000


def test_inputs_are_normalised_as_the_model_says(tmp_path, monkeypatch):
    labels = np.array([[0, 1], [2, 3]], np.uint8)
    dataset = write_dataset(tmp_path, [(labels, labels)])
    model = GreyModel()
    seen = []
    original = model.head_logits
    monkeypatch.setattr(model, "head_logits", lambda images: seen.append(images.clone()) or original(images))

    measure(model, dataset, "val", NATIVE)

    assert torch.allclose(seen[0][0, 0], torch.from_numpy(image_of(labels)[..., 0]).float() / 255)


def ids(*rows: str) -> np.ndarray:
    return np.array([[int(character) for character in row] for row in rows], np.uint8)


def test_the_network_sees_the_padded_image_and_the_score_leaves_the_padding_out(tmp_path, monkeypatch):
    labels = ids("3333", "3322")
    dataset = write_dataset(tmp_path, [(labels, labels)])
    padded = Protocol(name="x", summary="", argmax_at="input", pad_to=(3, 6))
    model = GreyModel()
    seen = []
    original = model.head_logits
    monkeypatch.setattr(model, "head_logits", lambda images: seen.append(images.clone()) or original(images))

    found = measure(model, dataset, "val", padded)

    assert seen[0].shape == (1, 3, 3, 6)
    assert not seen[0][:, :, 2:].any()
    assert not seen[0][..., 4:].any()
    assert found.counts.sum() == 8
    assert found.pixel_accuracy == 1.0
    assert found.input_size is None


def test_padding_has_the_mean_colour(tmp_path, monkeypatch):
    labels = ids("33", "33")
    dataset = write_dataset(tmp_path, [(labels, labels)])
    model = GreyModel()
    model.preprocessing = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.5, 0.5, 0.5))
    seen = []
    original = model.head_logits
    monkeypatch.setattr(model, "head_logits", lambda images: seen.append(images.clone()) or original(images))

    measure(model, dataset, "val", Protocol(name="x", summary="", argmax_at="input", pad_to=(2, 3)))

    assert seen[0][0, :, :, :2].all()
    assert not seen[0][0, :, :, 2].any()


def test_class_ids_of_the_recipes_input_size_are_scored_at_a_fixed_size(tmp_path):
    # 4x4 halves to 2x2: one cell each of 0, 1, 2, 3; labels and prediction then go to 4x8.
    predicted = ids("0011", "0011", "2233", "2233")
    truth = ids("0011", "0011", "2233", "2213")
    dataset = write_dataset(tmp_path, [(predicted, truth)])
    fixed = Protocol(name="x", summary="", argmax_at="input", score_size=(4, 8), resampling="area", absent="zero")
    model = GreyModel()

    found = measure(model, dataset, "val", fixed, input_size=(2, 2))

    assert model.sizes == [(1, 3, 2, 2)]
    assert found.input_size == (2, 2)
    # The one wrong pixel of the truth is two at 4x8: class 1 was predicted as 3 there.
    assert found.counts.tolist() == [[8, 0, 0, 0], [0, 8, 0, 2], [0, 0, 8, 0], [0, 0, 0, 6]]


def test_images_of_different_sizes_each_fit_into_the_limits(tmp_path):
    pairs = [(np.zeros(size, np.uint8), np.zeros(size, np.uint8)) for size in ((4, 6), (6, 4), (2, 16))]
    dataset = write_dataset(tmp_path, pairs)
    model = GreyModel()

    found = measure(model, dataset, "val", Protocol(name="x", summary="", fit=(8, 16)), input_size=(3, 3))

    assert model.sizes == [(1, 3, 8, 12), (1, 3, 12, 8), (1, 3, 2, 16)]
    assert found.counts.sum() == 24 + 24 + 32
    assert found.input_size is None


def test_the_score_is_taken_where_the_network_sees_it(tmp_path):
    labels = ids("0011", "0011")
    dataset = write_dataset(tmp_path, [(labels, labels)])

    found = measure(GreyModel(), dataset, "val", Protocol(name="x", summary="", fit=(4, None), score_size="input"))

    assert found.counts.sum() == 4 * 8


def test_images_of_other_channels_than_the_model_s_are_refused(two_images):
    model = GreyModel()
    model.preprocessing = Preprocessing(mean=(0.0,) * 4, std=(1.0,) * 4)
    with pytest.raises(CheckpointError, match=r"\b4 channels.*\bRGB") as caught:
        measure(model, two_images, "val", NATIVE)
    assert caught.value.code == "K407"


def test_the_calibration_of_a_network_that_gives_class_ids_is_refused(two_images):
    model = GreyModel()
    model.gives_scores = False
    with pytest.raises(RecipeError) as caught:
        evaluate_model(model, two_images, "val", NATIVE, metrics=("calibration_error",))
    assert caught.value.code == "R203"
