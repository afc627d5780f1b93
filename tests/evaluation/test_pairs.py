from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

from pixelwise.datasets.samples import Sample
from pixelwise.evaluation.pairs import EvaluationPair, batches_of_equal_size, fit_to_protocol
from pixelwise.prediction.background import in_background
from pixelwise.prediction.sizes import RESIZE, fitted_size, floor_index
from pixelwise.recipes.protocols import PROTOCOLS, Protocol


def pair(name: str, size: tuple[int, int]) -> EvaluationPair:
    sample = Sample(name, None, None)  # type: ignore[arg-type]
    return EvaluationPair(sample, np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))


def test_results_come_in_the_order_of_the_items():
    def slow_when_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * 10

    assert list(in_background(slow_when_even, range(20), ahead=4)) == [number * 10 for number in range(20)]


def test_no_more_items_are_begun_than_asked_for():
    begun = []

    results = in_background(lambda number: begun.append(number), iter(range(1000)), ahead=3)
    for _ in range(5):
        next(results)
    results.close()

    assert 5 <= len(begun) <= 5 + 3


def test_an_exception_is_raised_where_its_result_would_have_been():
    results = in_background(lambda number: 6 // (3 - number), range(10), ahead=2)

    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_ends_the_threads():
    before = threading.active_count()
    results = in_background(str, range(100), ahead=5)
    next(results)

    results.close()

    assert threading.active_count() == before


def test_nothing_in_gives_nothing_out():
    assert list(in_background(str, [], ahead=3)) == []


def test_batches_hold_consecutive_images_of_equal_size():
    pairs = [pair("a", (2, 2)), pair("b", (2, 2)), pair("c", (2, 2)), pair("d", (3, 2)), pair("e", (2, 2))]

    names = [[entry.sample.id for entry in batch] for batch in batches_of_equal_size(pairs, 2)]

    assert names == [["a", "b"], ["c"], ["d"], ["e"]]


def test_a_native_protocol_leaves_both_as_they_are():
    image, labels = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["native"], None)

    assert seen is image
    assert truth is labels


def test_enet_on_cityscapes_sees_and_scores_half_the_resolution():
    image, labels = np.zeros((1024, 2048, 3), np.uint8), np.zeros((1024, 2048), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["enet-1024x512"], (100, 100))

    assert seen.shape == (512, 1024, 3)
    assert truth.shape == (512, 1024)


def test_camvid_files_pass_untouched_through_their_protocol():
    image, labels = np.zeros((360, 480, 3), np.uint8), np.zeros((360, 480), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["camvid-480x360"], (360, 480))

    assert seen is image
    assert truth is labels


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((375, 500), (512, 683)),  # 512 / 375 is the smaller factor: 682.67
        ((500, 375), (683, 512)),
        ((200, 1600), (256, 2048)),  # 2048 / 1600
        ((1024, 2048), (512, 1024)),
        ((1, 5000), (1, 2048)),
    ],
)
def test_both_sides_stay_within_their_limits_and_are_rounded(size: tuple[int, int], fitted: tuple[int, int]):
    assert fitted_size(size, 512, 2048) == fitted


@pytest.mark.parametrize(
    ("size", "fitted"), [((375, 500), (520, 693)), ((640, 427), (779, 520)), ((100, 100), (520, 520))]
)
def test_without_a_limit_the_longer_side_is_rounded_down(size: tuple[int, int], fitted: tuple[int, int]):
    assert fitted_size(size, 520, None) == fitted


def test_sssegmentation_leaves_cityscapes_as_it_is():
    image, labels = np.zeros((1024, 2048, 3), np.uint8), np.zeros((1024, 2048), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["ssseg-2048x1024"], (3, 3))

    assert seen is image
    assert truth is labels


def test_sssegmentation_enlarges_a_voc_image_but_not_its_labels():
    image, labels = np.zeros((375, 500, 3), np.uint8), np.zeros((375, 500), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["ssseg-2048x512"], None)

    assert seen.shape == (512, 683, 3)
    assert truth is labels


def test_torchvision_scores_at_the_size_the_network_sees():
    image, labels = np.zeros((375, 500, 3), np.uint8), np.zeros((375, 500), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["torchvision-520"], None)

    assert seen.shape == (520, 693, 3)
    assert truth.shape == (520, 693)


@pytest.mark.parametrize(
    ("name", "seen_shape", "truth_shape"),
    [
        ("edgeai-ade20k32", (384, 384), (768, 768)),
        ("edgeai-cocoseg21", (384, 384), (512, 512)),
        ("torchvision-1040x520", (520, 1040), (520, 1040)),
        ("tf-deeplab-512x512", (512, 512), (375, 500)),
        ("tf-deeplab-2049x1025", (384, 384), (375, 500)),  # only who asks for another size than the page's
        ("erfnet-1024x512", (512, 1024), (375, 500)),
        ("cityscapes-2048x1024", (1024, 2048), (1024, 2048)),
    ],
)
def test_sizes_of_image_and_labels(name: str, seen_shape: tuple[int, int], truth_shape: tuple[int, int]):
    image, labels = np.zeros((375, 500, 3), np.uint8), np.zeros((375, 500), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS[name], (384, 384))

    assert (seen.shape[:2], truth.shape) == (seen_shape, truth_shape)


@pytest.mark.parametrize(
    ("resampling", "stripes", "block"), [("linear", 255, 255), ("area", 128, 255), ("antialiased", 128, 191)]
)
def test_shrinking_by_four_sees_two_columns_the_cell_or_beyond_it(resampling, stripes: int, block: int):
    """Stripes 0, 255, 255, 0 in every cell of four columns; a block of one whole cell."""
    protocol = Protocol(name="x", summary="", input_size=(1, 8), resampling=resampling)

    def middle(columns: list[int]) -> int:
        image = np.repeat(np.tile(np.array(columns, np.uint8), (4, 1))[..., None], 3, axis=2)
        return int(fit_to_protocol(image, image[..., 0], protocol, None)[0][0, 4, 0])

    assert middle([0, 255, 255, 0] * 8) == stripes
    # The antialiased filter is a triangle over eight columns, weights 1, 3, 5, 7, 7, 5, 3, 1 of 32.
    assert middle([0] * 16 + [255] * 4 + [0] * 12) == block


def test_enlarging_by_area_is_linear():
    image = np.repeat(np.array([[0, 100]], np.uint8)[..., None], 3, axis=2)
    protocol = Protocol(name="x", summary="", input_size=(1, 4), resampling="area")

    assert fit_to_protocol(image, image[..., 0], protocol, None)[0][0, :, 0].tolist() == [0, 25, 75, 100]


def test_labels_take_the_nearest_centre_or_with_class_ids_opencvs_nearest():
    labels = np.array([[10, 11, 12, 13]], np.uint8)
    image = np.zeros((1, 4, 3), np.uint8)

    def resized(argmax_at) -> list[int]:
        protocol = Protocol(name="x", summary="", score_size=(1, 3), argmax_at=argmax_at)
        return fit_to_protocol(image, labels, protocol, None)[1][0].tolist()

    assert resized("score") == [10, 12, 13]  # centres at 0.67, 2 and 3.33
    assert resized("input") == [10, 11, 12]  # floor of 0, 1.33 and 2.67


def test_floor_index_is_what_opencv_calls_nearest():
    for length, output in ((4, 3), (384, 1024), (768, 2048), (513, 512), (7, 7), (500, 768)):
        line = np.arange(length, dtype=np.uint16)[None]
        resized = cv2.resize(line, (output, 1), interpolation=cv2.INTER_NEAREST)
        assert floor_index(length, output).tolist() == resized[0].tolist()


@pytest.mark.parametrize("resampling", ["linear", "area", "antialiased"])
@pytest.mark.parametrize("channels", [1, 2, 4, 6])
@pytest.mark.parametrize("size", [(5, 7), (30, 28)])
def test_any_number_of_channels_is_resized_like_three(resampling: str, channels: int, size: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 256, (13, 17, channels), dtype=np.uint8)
    resized = RESIZE[resampling](image, size)
    assert resized.shape == (*size, channels)
    for channel in range(channels):
        alone = RESIZE[resampling](np.repeat(image[..., channel, None], 3, axis=2), size)
        assert np.array_equal(resized[..., channel], alone[..., 0])
