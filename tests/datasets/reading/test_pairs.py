from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pictures import save, with_orientation

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.pairs import read_labels, read_pair
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError

MakeDataset = Callable[..., Dataset]
IDS = np.array([[0, 1, 2, 2], [1, 1, 0, 2], [0, 0, 1, 255]], np.uint8)


def test_a_sample_without_a_mask_is_d220(dataset_of: MakeDataset):
    with pytest.raises(DataError, match=r"a\.png: ") as caught:
        read_labels(Sample("a", Path("a.png"), None), dataset_of())
    assert caught.value.code == "D220"


def pair(tmp_path: Path, image: np.ndarray, mask: np.ndarray, orientation: int = 1) -> Sample:
    with_orientation(tmp_path / "image.png", image, orientation)
    return Sample("a", tmp_path / "image.png", save(tmp_path / "mask.png", mask))


def test_a_pair_of_equal_size_is_read(tmp_path: Path, dataset_of: MakeDataset):
    image, labels = read_pair(pair(tmp_path, np.ones((3, 4, 3), np.uint8), IDS), dataset_of())
    assert image.shape == (3, 4, 3)
    assert np.array_equal(labels, IDS)


def test_another_size_is_d201_with_both_sizes(tmp_path: Path, dataset_of: MakeDataset):
    sample = pair(tmp_path, np.ones((6, 8, 3), np.uint8), IDS)
    with pytest.raises(DataError, match=r"mask\.png: .*4x3 \(WxH\).* 8x6 .*reduced to 1/2") as caught:
        read_pair(sample, dataset_of())
    assert caught.value.code == "D201"
    assert "data.mask_resize=nearest" in caught.value.help


def test_sizes_without_a_whole_ratio_are_named_by_their_ratios(tmp_path: Path, dataset_of: MakeDataset):
    sample = pair(tmp_path, np.ones((6, 6, 3), np.uint8), IDS)
    with pytest.raises(DataError, match=r"ratios of width and height 1\.5 and 2"):
        read_pair(sample, dataset_of())


def test_nearest_resizing_repeats_pixels_and_invents_no_id(tmp_path: Path, dataset_of: MakeDataset):
    dataset = dataset_of(reading=Reading(mask_resize="nearest"))
    _, labels = read_pair(pair(tmp_path, np.ones((6, 8, 3), np.uint8), IDS), dataset)
    assert np.array_equal(labels, IDS.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("fit", [True, False])
@pytest.mark.parametrize("mask_resize", ["refuse", "nearest"])
@pytest.mark.parametrize(
    ("height", "width", "shape"), [(6, 8, True), (3, 4, True), (3, 12, False), (8, 6, False), (16, 3, False)]
)
def test_a_mask_of_another_shape_is_refused_whatever_is_done_with_the_labels(
    tmp_path: Path,
    dataset_of: MakeDataset,
    height: int,
    width: int,
    shape: bool,
    mask_resize: Literal["refuse", "nearest"],
    fit: bool,
):
    sample = pair(tmp_path, np.ones((height, width, 3), np.uint8), IDS)
    dataset = dataset_of(reading=Reading(mask_resize=mask_resize))
    if (height, width) == IDS.shape or (shape and mask_resize == "nearest"):
        assert read_pair(sample, dataset, fit=fit)[1].shape == ((height, width) if fit else IDS.shape)
        return
    with pytest.raises(DataError, match="D201"):
        read_pair(sample, dataset, fit=fit)


def test_a_mask_drawn_on_the_unrotated_photo_is_d110(tmp_path: Path, dataset_of: MakeDataset):
    sample = pair(tmp_path, np.ones((3, 4, 3), np.uint8), IDS, orientation=6)
    with pytest.raises(DataError, match=r"image\.png: .*orientation 6 .*3x4 \(WxH\) upright.*unrotated") as caught:
        read_pair(sample, dataset_of())
    assert (caught.value.code, caught.value.help) == ("D110", "set data.exif=ignore")
    image, labels = read_pair(sample, dataset_of(reading=Reading(exif="ignore")))
    assert image.shape[:2] == labels.shape


def test_a_mask_drawn_on_the_upright_photo_is_d110_where_exif_is_ignored(tmp_path: Path, dataset_of: MakeDataset):
    sample = pair(tmp_path, np.ones((4, 3, 3), np.uint8), IDS, orientation=8)
    with pytest.raises(DataError) as caught:
        read_pair(sample, dataset_of(reading=Reading(exif="ignore")))
    assert (caught.value.code, caught.value.help) == ("D110", "set data.exif=apply")


def test_labels_of_several_classes_come_with_their_image(tmp_path: Path, dataset_of: MakeDataset):
    import msgspec

    image = save(tmp_path / "image.png", np.ones((1, 2, 3), np.uint8))
    mask = save(tmp_path / "one.png", np.array([[0, 255]], np.uint8))
    dataset = msgspec.structs.replace(dataset_of(2, LabelTable()), multilabel=True)
    found, labels = read_pair(Sample("a", image, mask, (mask, None)), dataset)
    assert (found.shape, labels.tolist()) == ((1, 2, 3), [[0, 1]])
    assert read_labels(Sample("a", image, mask, (None, mask)), dataset).tolist() == [[0, 2]]
