from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from evaluation.color_model import GreyModel, write_dataset

from pixelwise.evaluation.evaluate import evaluate_protocols
from pixelwise.evaluation.tally import Measurement
from pixelwise.metrics import SCORES
from pixelwise.recipes.protocols import PROTOCOLS, Protocol

NATIVE = PROTOCOLS["native"]
WINDOWS = Protocol(name="windows", summary="", window=(4, 6), window_stride=(3, 3))


def measure(*arguments, **options) -> list[Measurement]:
    return evaluate_protocols(*arguments, **options)


@pytest.fixture
def dataset(tmp_path):
    random = np.random.default_rng(0)
    pairs = []
    for size in ((12, 16), (12, 16), (9, 7), (12, 16)):
        truth = random.integers(0, 4, size).astype(np.uint8)
        truth[random.random(size) < 0.1] = 255
        pairs.append((random.integers(0, 4, size).astype(np.uint8), truth))
    return write_dataset(tmp_path / "data", pairs)


def same_scores(one: Measurement, other: Measurement) -> bool:
    return np.array_equal(one.counts, other.counts) and one.per_image == other.per_image


@pytest.mark.parametrize("batch_size", [1, 2])
def test_several_protocols_score_what_each_scores_alone(dataset, batch_size):
    protocols = [
        NATIVE,
        PROTOCOLS["camvid-480x360"],
        Protocol(name="ids", summary="", input_size=(8, 8), argmax_at="input"),
        Protocol(name="padded", summary="", argmax_at="input", pad_to=(14, 20)),
        WINDOWS,
        msgspec.structs.replace(WINDOWS, name="window-ids", score_size=(6, 6), argmax_at="input"),
        Protocol(name="looks", summary="", scales=(0.5, 1.0), flip=True, absent="zero"),
    ]

    together = measure(GreyModel(stride=2), dataset, "val", protocols, batch_size=batch_size)

    for protocol, found in zip(protocols, together, strict=True):
        (alone,) = measure(GreyModel(stride=2), dataset, "val", [protocol])
        assert found.protocol is protocol
        assert same_scores(found, alone)
        assert found.miou == alone.miou


def test_protocols_under_which_the_network_sees_the_same_share_its_answers(dataset):
    model = GreyModel()

    measure(model, dataset, "val", [NATIVE, PROTOCOLS["camvid-480x360"]])
    assert len(model.sizes) == 4

    model.sizes.clear()
    measure(model, dataset, "val", [NATIVE, Protocol(name="small", summary="", input_size=(4, 4))])
    assert len(model.sizes) == 8


def test_protocols_that_would_resize_in_different_ways_share_an_image_that_needs_none(dataset):
    model = GreyModel()
    fixed = Protocol(name="fixed", summary="", input_size=(12, 16), resampling="linear", score_size="input")

    protocols = [NATIVE, fixed]
    found = measure(model, dataset, "val", protocols, batch_size=2)

    # Two batches of 12x16 (the 9x7 lies between them), one pass each; the 9x7 is resized for one protocol: two.
    assert model.sizes == [(2, 3, 12, 16), (1, 3, 9, 7), (1, 3, 12, 16), (1, 3, 12, 16)]
    for protocol, measurement in zip(protocols, found, strict=True):
        (alone,) = measure(GreyModel(), dataset, "val", [protocol])
        assert same_scores(measurement, alone)


def test_windows_are_shared_too(dataset):
    alone, both = GreyModel(), GreyModel()
    smaller = msgspec.structs.replace(WINDOWS, name="smaller", score_size=(5, 5))

    measure(alone, dataset, "val", [WINDOWS])
    measure(both, dataset, "val", [WINDOWS, smaller])

    assert both.sizes == alone.sizes


def test_windows_of_a_network_without_context_score_as_the_whole(dataset):
    whole, windows, covering = measure(
        GreyModel(), dataset, "val", [NATIVE, WINDOWS, msgspec.structs.replace(WINDOWS, window=(64, 64))]
    )

    assert same_scores(whole, windows)
    assert same_scores(whole, covering)


def test_the_network_sees_windows_in_batches(dataset):
    model = GreyModel()
    batched = msgspec.structs.replace(WINDOWS, window_batch=4)

    measure(model, msgspec.structs.replace(dataset, splits={"val": dataset.splits["val"][2:3]}), "val", [batched])

    # 9x7 in windows of 4x6, 3 apart: rows 0, 3, 5 and columns 0, 1.
    assert model.sizes == [(4, 3, 4, 6), (2, 3, 4, 6)]


def test_a_mirrored_look_of_a_symmetric_network_changes_nothing(dataset):
    plain, mirrored = measure(GreyModel(), dataset, "val", [NATIVE, Protocol(name="flip", summary="", flip=True)])

    assert same_scores(plain, mirrored)


def test_scales_are_resized_from_the_image_itself_and_rounded(dataset):
    model = GreyModel()
    scaled = Protocol(name="x", summary="", scales=(0.5, 1.0, 1.75), resampling="linear")

    measure(model, msgspec.structs.replace(dataset, splits={"val": dataset.splits["val"][2:3]}), "val", [scaled])

    assert [size[2:] for size in model.sizes] == [(5, 4), (9, 7), (16, 12)]


def test_boundary_and_calibration_are_measured_where_asked_for(dataset):
    (neither,) = measure(GreyModel(), dataset, "val", [NATIVE])
    (both,) = measure(GreyModel(), dataset, "val", [NATIVE], metrics=("boundary_iou", "calibration_error"))

    assert tuple(neither.values) == SCORES
    assert tuple(both.values) == (*SCORES, "boundary_iou", "calibration_error")
    assert len(both.values["boundary_iou"].per_class) == 4
    assert 0 < both.values["calibration_error"].value < 1
    assert same_scores(neither, both)


@pytest.mark.parametrize("protocol", [NATIVE, WINDOWS, Protocol(name="ids", summary="", argmax_at="input")])
def test_the_calibration_error_is_that_of_the_softmax_at_the_score_size(tmp_path, protocol):
    # One class everywhere, a network of two classes that is 1 / (1 + exp(-d)) sure of it and always right.
    truth = np.zeros((8, 8), np.uint8)
    dataset = write_dataset(tmp_path, [(truth, truth)])

    (found,) = measure(GreyModel(), dataset, "val", [protocol], metrics=("calibration_error",))

    squares = torch.tensor([0.0, 60.0, 120.0, 180.0]).div(255).square()
    assert found.values["calibration_error"].value == pytest.approx(1 - float((-squares).softmax(0)[0]), abs=1e-6)


def test_the_boundary_iou_of_a_perfect_prediction_is_one(tmp_path):
    truth = np.kron(np.array([[0, 1], [2, 3]]), np.ones((10, 10))).astype(np.uint8)

    (found,) = measure(
        GreyModel(), write_dataset(tmp_path, [(truth, truth)]), "val", [NATIVE], metrics=("boundary_iou",)
    )

    assert found.values["boundary_iou"].per_class == (1.0, 1.0, 1.0, 1.0)


def test_the_interval_holds_the_score_and_needs_two_images(dataset):
    (found,) = measure(GreyModel(), dataset, "val", [NATIVE], metrics=("miou_interval",))
    interval = found.values["miou_interval"].interval
    assert interval is not None
    lower, upper = interval
    assert lower <= found.miou <= upper
    assert lower < upper

    one = msgspec.structs.replace(dataset, splits={"val": dataset.splits["val"][:1]})
    (alone,) = measure(GreyModel(), one, "val", [NATIVE], metrics=("miou_interval",))
    assert alone.values["miou_interval"].interval is None


def interrupt(done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_progress_counts_images_and_stopping_gives_nothing(dataset):
    seen = []
    measure(GreyModel(), dataset, "val", [NATIVE, WINDOWS], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    for protocols in ([NATIVE, WINDOWS], [WINDOWS]):
        with pytest.raises(KeyboardInterrupt):
            evaluate_protocols(GreyModel(), dataset, "val", protocols, progress=interrupt)
