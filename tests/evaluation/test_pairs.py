from __future__ import annotations

import numpy as np
import pytest
from evaluation.color_model import write_dataset

from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.evaluation.pairs import EvaluationPair, batches_alike, pairs_of, read_split
from pixelwise.recipes.protocols import PROTOCOLS, Protocol


def pair(name: str, size: tuple[int, int]) -> EvaluationPair:
    sample = Sample(name, None, None)  # type: ignore[arg-type]
    return EvaluationPair(sample, np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))


def fitted(
    image: np.ndarray, labels: np.ndarray, protocol: Protocol, input_size: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels as one protocol wants them."""
    (found,) = pairs_of(Sample("x", None, None), image, labels, (protocol,), input_size)  # type: ignore[arg-type]
    return found.image, found.labels


def test_batches_hold_consecutive_images_of_equal_size():
    pairs = [pair("a", (2, 2)), pair("b", (2, 2)), pair("c", (2, 2)), pair("d", (3, 2)), pair("e", (2, 2))]

    names = [[entry.sample.id for entry in batch] for batch in batches_alike(pairs, 2, lambda pair: pair.image.shape)]

    assert names == [["a", "b"], ["c"], ["d"], ["e"]]


def test_a_native_protocol_leaves_both_as_they_are():
    image, labels = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)

    seen, truth = fitted(image, labels, PROTOCOLS["native"], None)

    assert seen is image
    assert truth is labels


def test_enet_on_cityscapes_sees_and_scores_half_the_resolution():
    image, labels = np.zeros((1024, 2048, 3), np.uint8), np.zeros((1024, 2048), np.uint8)

    seen, truth = fitted(image, labels, PROTOCOLS["enet-1024x512"], (100, 100))

    assert seen.shape == (512, 1024, 3)
    assert truth.shape == (512, 1024)


def test_camvid_files_pass_untouched_through_their_protocol():
    image, labels = np.zeros((360, 480, 3), np.uint8), np.zeros((360, 480), np.uint8)

    seen, truth = fitted(image, labels, PROTOCOLS["camvid-480x360"], (360, 480))

    assert seen is image
    assert truth is labels


def test_sssegmentation_leaves_cityscapes_as_it_is():
    image, labels = np.zeros((1024, 2048, 3), np.uint8), np.zeros((1024, 2048), np.uint8)

    seen, truth = fitted(image, labels, PROTOCOLS["ssseg-2048x1024"], (3, 3))

    assert seen is image
    assert truth is labels


def test_sssegmentation_enlarges_a_voc_image_but_not_its_labels():
    image, labels = np.zeros((375, 500, 3), np.uint8), np.zeros((375, 500), np.uint8)

    seen, truth = fitted(image, labels, PROTOCOLS["ssseg-2048x512"], None)

    assert seen.shape == (512, 683, 3)
    assert truth is labels


def test_torchvision_scores_at_the_size_the_network_sees():
    image, labels = np.zeros((375, 500, 3), np.uint8), np.zeros((375, 500), np.uint8)

    seen, truth = fitted(image, labels, PROTOCOLS["torchvision-520"], None)

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

    seen, truth = fitted(image, labels, PROTOCOLS[name], (384, 384))

    assert (seen.shape[:2], truth.shape) == (seen_shape, truth_shape)


@pytest.mark.parametrize(
    ("resampling", "stripes", "block"), [("linear", 255, 255), ("area", 128, 255), ("antialiased", 128, 191)]
)
def test_shrinking_by_four_sees_two_columns_the_cell_or_beyond_it(resampling, stripes: int, block: int):
    """Stripes 0, 255, 255, 0 in every cell of four columns; a block of one whole cell."""
    protocol = Protocol(name="x", summary="", input_size=(1, 8), resampling=resampling)

    def middle(columns: list[int]) -> int:
        image = np.repeat(np.tile(np.array(columns, np.uint8), (4, 1))[..., None], 3, axis=2)
        return int(fitted(image, image[..., 0], protocol, None)[0][0, 4, 0])

    assert middle([0, 255, 255, 0] * 8) == stripes
    # The antialiased filter is a triangle over eight columns, weights 1, 3, 5, 7, 7, 5, 3, 1 of 32.
    assert middle([0] * 16 + [255] * 4 + [0] * 12) == block


def test_enlarging_by_area_is_linear():
    image = np.repeat(np.array([[0, 100]], np.uint8)[..., None], 3, axis=2)
    protocol = Protocol(name="x", summary="", input_size=(1, 4), resampling="area")

    assert fitted(image, image[..., 0], protocol, None)[0][0, :, 0].tolist() == [0, 25, 75, 100]


def test_labels_take_the_nearest_centre_or_with_class_ids_opencvs_nearest():
    labels = np.array([[10, 11, 12, 13]], np.uint8)
    image = np.zeros((1, 4, 3), np.uint8)

    def resized(argmax_at) -> list[int]:
        protocol = Protocol(name="x", summary="", score_size=(1, 3), argmax_at=argmax_at)
        return fitted(image, labels, protocol, None)[1][0].tolist()

    assert resized("score") == [10, 12, 13]  # centres at 0.67, 2 and 3.33
    assert resized("input") == [10, 11, 12]  # floor of 0, 1.33 and 2.67


def test_protocols_with_the_same_input_share_its_memory():
    image, labels = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)
    small = Protocol(name="small", summary="", input_size=(3, 4))
    scored = Protocol(name="scored", summary="", input_size=(3, 4), score_size=(2, 2))

    one, other, native = pairs_of(
        Sample("x", None, None),
        image,
        labels,
        (small, scored, PROTOCOLS["native"]),
        None,  # type: ignore[arg-type]
    )

    assert one.image is other.image
    assert native.image is image
    assert (one.labels.shape, other.labels.shape, native.labels.shape) == ((6, 8), (2, 2), (6, 8))


def test_a_split_is_read_in_order_and_a_bad_pair_is_raised_in_its_place(tmp_path):
    labels = np.arange(4, dtype=np.uint8).repeat(3).reshape(4, 3)
    dataset = write_dataset(tmp_path, [(labels, labels)] * 3)
    samples = dataset.splits["val"]
    samples[2].mask_path.write_bytes(b"")

    read = read_split(samples, dataset, (PROTOCOLS["native"],), None, ahead=2)

    for sample in samples[:2]:
        ((pair,),) = [next(read)]
        assert pair.sample is sample
        assert np.array_equal(pair.labels, labels)
    with pytest.raises(DataError):
        next(read)
