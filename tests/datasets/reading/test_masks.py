from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import save
from PIL import Image

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.masks import load_mask, mask_error, read_class_masks, translate, valid_labels
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE_BIT

MakeDataset = Callable[..., Dataset]
IDS = np.array([[0, 1, 2, 2], [1, 1, 0, 2], [0, 0, 1, 255]], np.uint8)


def labels_of(path: Path, dataset: Dataset) -> np.ndarray:
    return read_labels(Sample("a", path, path), dataset)


def test_palette_masks_give_indices_not_colours(tmp_path: Path, dataset_of: MakeDataset):
    ids = np.minimum(IDS, 2)
    mask = Image.fromarray(ids)
    mask.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200])
    mask.save(tmp_path / "a.png")
    assert np.array_equal(labels_of(tmp_path / "a.png", dataset_of()), ids)
    raw = load_mask(tmp_path / "a.png", LabelTable(), max_pixels=100)
    assert (raw.encoding, raw.grey_rgb) == ("palette PNG", False)
    assert raw.palette is not None
    assert raw.palette[:3].tolist() == [[200, 10, 10], [10, 200, 10], [10, 10, 200]]


def test_rgb_masks_of_grey_pixels_alone_are_ids_and_say_so(tmp_path: Path):
    grey, colored = np.full((2, 2, 3), 3, np.uint8), np.full((2, 2, 3), (3, 3, 4), np.uint8)
    found = [
        load_mask(save(tmp_path / name, pixels), LabelTable(), max_pixels=100)
        for name, pixels in (("a.png", grey), ("b.png", colored), ("c.png", grey[..., 0]))
    ]
    assert [raw.grey_rgb for raw in found] == [True, False, False]
    assert [raw.values.ndim for raw in found] == [2, 3, 2]


def test_palette_masks_are_read_by_colour_where_only_colours_have_a_meaning(tmp_path: Path, dataset_of: MakeDataset):
    mask = Image.fromarray(np.array([[0, 1]], np.uint8))
    mask.putpalette([0, 0, 255, 255, 0, 0])
    mask.save(tmp_path / "a.png")
    dataset = dataset_of(table=table_of({}, {"#ff0000": 0, "#0000ff": 1}))
    assert labels_of(tmp_path / "a.png", dataset).tolist() == [[1, 0]]


def test_one_bit_masks_are_0_and_1(tmp_path: Path, dataset_of: MakeDataset):
    path = save(tmp_path / "a.png", np.array([[True, False]]))
    assert labels_of(path, dataset_of()).tolist() == [[1, 0]]


def test_sixteen_bit_masks_keep_their_ids(tmp_path: Path, dataset_of: MakeDataset):
    path = save(tmp_path / "a.png", np.array([[7001, 300]], np.uint16))
    assert labels_of(path, dataset_of(table=table_of({7001: 0, 300: 2}))).tolist() == [[0, 2]]


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_masks_of_2_and_4_bits_are_not_stretched(tmp_path: Path, dataset_of: MakeDataset, bits: int):
    import struct
    import zlib

    rows = b"".join(
        b"\0" + bytes([int("".join(f"{v:0{bits}b}" for v in row).ljust(8, "0"), 2)]) for row in ([0, 1], [2, 3])
    )
    header = struct.pack(">IIBBBBB", 2, 2, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert labels_of(tmp_path / "a.png", dataset_of(4)).tolist() == [[0, 1], [2, 3]]


def test_an_rgb_mask_with_equal_channels_counts_as_one_channel(tmp_path: Path, dataset_of: MakeDataset):
    path = save(tmp_path / "a.png", np.repeat(IDS[..., None], 3, axis=2))
    assert np.array_equal(labels_of(path, dataset_of()), IDS)


def test_unknown_ids_name_values_counts_file_and_expectation(tmp_path: Path, dataset_of: MakeDataset):
    mask = np.array([[0, 1, 2, 7, 7, 9]], np.uint8)
    with pytest.raises(DataError, match=r"a\.png: .*\b7 \(2 px\), 9 \(1 px\).* 0\.\.2 or 255") as caught:
        labels_of(save(tmp_path / "a.png", mask), dataset_of())
    assert caught.value.code == "D202"
    assert "7 = 255, 9 = 255" in caught.value.help


def test_an_rgb_mask_without_a_colour_table_is_d205(tmp_path: Path, dataset_of: MakeDataset):
    rgb = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    with pytest.raises(DataError, match=r"a\.png: .*\(1x2x3\).*\b2 colours") as caught:
        labels_of(save(tmp_path / "a.png", rgb), dataset_of())
    assert caught.value.code == "D205"


def test_unknown_colours_are_d203_with_their_share(tmp_path: Path, dataset_of: MakeDataset):
    rgb = np.zeros((10, 10, 3), np.uint8)
    rgb[0, 0] = (1, 2, 3)
    dataset = dataset_of(table=table_of({}, {"#000000": 0}))
    with pytest.raises(DataError, match=r"a\.png: .*\b2 colours.* 1 % .*#010203") as caught:
        labels_of(save(tmp_path / "a.png", rgb), dataset)
    assert caught.value.code == "D203"


def test_a_jpeg_mask_is_d203_even_if_its_values_happen_to_be_known(tmp_path: Path, dataset_of: MakeDataset):
    path = save(tmp_path / "a.jpg", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match=r"a\.jpg: .*JPEG.* 0 %") as caught:
        labels_of(path, dataset_of())
    assert caught.value.code == "D203"


def test_floating_point_masks_are_ids_if_all_are_whole_and_else_d205(tmp_path: Path, dataset_of: MakeDataset):
    whole = np.array([[0.0, 2.0], [1.0, 255.0]], np.float32)
    assert labels_of(save(tmp_path / "a.tif", whole), dataset_of()).tolist() == [[0, 2], [1, 255]]
    with pytest.raises(DataError, match=r"a\.tif: .*float32.*1 px.*0\.25") as caught:
        labels_of(save(tmp_path / "a.tif", whole + np.array([[0.25, 0], [0, 0]], np.float32)), dataset_of())
    assert caught.value.code == "D205"


def test_the_values_of_a_mask_become_class_ids_and_unknown_ones_are_counted(tmp_path: Path):
    raw = load_mask(save(tmp_path / "a.png", np.array([[0, 7, 7, 255]], np.uint8)), LabelTable(), max_pixels=100)
    found = translate(raw, table_of({0: 4, 255: 255}))
    assert found.labels.tolist() == [[4, 255, 255, 255]]
    assert (found.unknown_ids, found.unknown_colors) == ({7: 2}, {})


def test_without_a_colour_table_every_colour_is_unknown(tmp_path: Path):
    rgb = np.array([[[255, 0, 0], [0, 0, 1]]], np.uint8)
    found = translate(load_mask(save(tmp_path / "a.png", rgb), LabelTable(), max_pixels=100), LabelTable())
    assert found.labels.tolist() == [[255, 255]]
    assert found.unknown_colors == {0xFF0000: 1, 0x000001: 1}


def test_a_sound_mask_has_no_error(tmp_path: Path, dataset_of: MakeDataset):
    path = save(tmp_path / "a.png", IDS)
    dataset = dataset_of()
    raw = load_mask(path, dataset.label_table, max_pixels=100)
    assert mask_error(path, raw, translate(raw, dataset.label_table), dataset.label_table, len(dataset.classes)) is None


def class_masks(tmp_path: Path, **masks: list[list[int]]) -> Sample:
    """A sample with masks of the classes `one` and `two`, and of ignored pixels."""
    paths = {name: save(tmp_path / f"{name}.png", np.array(mask, np.uint8)) for name, mask in masks.items()}
    return Sample("a", tmp_path / "a.jpg", None, (paths.get("one"), paths.get("two")), paths.get("ignored"))


def test_masks_of_classes_are_bits_and_ignored_pixels_nothing_else(tmp_path: Path, dataset_of: MakeDataset):
    sample = class_masks(tmp_path, one=[[255, 255, 0, 0]], two=[[255, 0, 255, 0]], ignored=[[0, 255, 0, 0]])
    labels = valid_labels(read_class_masks(sample, dataset_of(2, LabelTable()), (1, 4)))
    assert labels.dtype == np.int32
    assert labels.tolist() == [[0b11, IGNORE_BIT, 0b10, 0]]


def test_a_class_without_a_mask_is_absent(tmp_path: Path, dataset_of: MakeDataset):
    sample = class_masks(tmp_path, two=[[0, 1]])
    assert valid_labels(read_class_masks(sample, dataset_of(2, LabelTable()), None)).tolist() == [[0, 0b10]]


def test_what_is_wrong_with_masks_of_classes_is_collected(tmp_path: Path, dataset_of: MakeDataset):
    sample = class_masks(tmp_path, one=[[0, 1, 7]], two=[[0, 255]])
    found = read_class_masks(sample, dataset_of(2, LabelTable()), (1, 3))
    assert [(path.name, error.code) for path, error in found.errors] == [("one.png", "D202"), ("two.png", "D201")]
    with pytest.raises(DataError, match=r"7 \(1 px\)"):
        valid_labels(found)


def test_a_threshold_says_what_counts_in_grey_masks_of_a_class(tmp_path: Path, dataset_of: MakeDataset):
    sample = class_masks(tmp_path, one=[[0, 127, 128, 200]])
    table = LabelTable(threshold=128)
    assert valid_labels(read_class_masks(sample, dataset_of(2, table), None)).tolist() == [[0, 0, 1, 1]]
