from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.images import load_image, read_image
from pixelwise.datasets.reading.masks import load_mask
from pixelwise.datasets.reading.pairs import read_labels, read_pair
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError, RecipeError

MakeDataset = Callable[..., Dataset]
IDS = np.array([[0, 1, 2, 2], [1, 1, 0, 2], [0, 0, 1, 255]], np.uint8)


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def with_orientation(path: Path, stored: np.ndarray, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(path, exif=exif)
    return path


def labels_of(path: Path, dataset: Dataset) -> np.ndarray:
    return read_labels(Sample("a", path, path), dataset)


def test_an_rgb_image_is_read_as_it_is_and_may_be_written_to(tmp_path: Path, picture: np.ndarray):
    image = read_image(save(tmp_path / "a.png", picture), Reading())
    assert np.array_equal(image, picture)
    assert image.dtype == np.uint8
    assert image.flags.writeable


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "RGBA", "PA", "YCbCr"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str):
    kind = "tiff" if mode in ("CMYK", "YCbCr", "PA") else "png"
    path = tmp_path / f"a.{kind}"
    image = Image.new("RGB", (5, 4), (255, 255, 255)).convert("LA" if mode == "PA" else mode)
    image.save(path, compression="raw") if kind == "tiff" else image.save(path)
    pixels = read_image(path, Reading())
    assert pixels.shape == (4, 5, 3)
    assert (pixels >= 253).all()


def test_one_bit_images_become_black_and_white(tmp_path: Path):
    bits = np.array([[True, False]])
    assert read_image(save(tmp_path / "a.png", bits), Reading()).tolist() == [[[255] * 3, [0] * 3]]


def test_transparent_pixels_keep_their_colour_or_become_black_by_choice(tmp_path: Path):
    rgba = np.array([[[200, 100, 50, 0], [200, 100, 50, 255], [200, 100, 50, 128]]], np.uint8)
    path = save(tmp_path / "a.png", rgba)
    assert read_image(path, Reading()).tolist() == [[[200, 100, 50]] * 3]
    assert read_image(path, Reading(alpha="black")).tolist() == [[[0, 0, 0], [200, 100, 50], [100, 50, 25]]]
    assert load_image(path, Reading())[1].transparent


def test_an_opaque_alpha_channel_is_not_transparency(tmp_path: Path):
    path = save(tmp_path / "a.png", np.full((2, 2, 4), 255, np.uint8))
    assert not load_image(path, Reading())[1].transparent


def test_sixteen_bits_are_refused_instead_of_clipped(tmp_path: Path):
    path = save(tmp_path / "deep.png", np.array([[0, 40000]], np.uint16))
    with pytest.raises(DataError, match=r"deep\.png: the image has values 0\.\.40000") as caught:
        read_image(path, Reading())
    assert caught.value.code == "D104"
    assert "data.input_range=[0, 65535]" in caught.value.help


def test_a_16_bit_ramp_stretched_over_its_range_has_the_mean_of_a_ramp(tmp_path: Path):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = read_image(save(tmp_path / "a.png", ramp), Reading(input_range=(0, 65535)))
    assert abs(image.mean() - 127.5) < 0.5
    assert (image.min(), image.max()) == (0, 255)


def test_floats_are_stretched_by_the_given_range(tmp_path: Path):
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0, np.nan]], np.float32)
    path = save(tmp_path / "a.tif", values)
    image = read_image(path, Reading(input_range=(0, 1)))
    assert image[..., 0].tolist() == [[0, 0, 128, 255, 255, 0]]
    with pytest.raises(DataError, match=r"values -1\.\.2"):
        read_image(path, Reading())


def test_an_empty_input_range_is_a_recipe_error(tmp_path: Path):
    path = save(tmp_path / "a.png", np.array([[0, 40000]], np.uint16))
    with pytest.raises(RecipeError, match=r"expected low < high"):
        read_image(path, Reading(input_range=(5, 5)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied_so_that_a_marked_corner_is_on_top(tmp_path: Path, orientation: int):
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, 0] = (255, 0, 0)  # top left
    upright[0, 5] = (0, 255, 0)  # top right
    # How a camera that was held that way stores the upright scene.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    path = with_orientation(tmp_path / "a.png", np.ascontiguousarray(stored), orientation)
    assert np.array_equal(read_image(path, Reading()), upright)
    assert np.array_equal(read_image(path, Reading(exif="ignore")), stored)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_leaves_the_image_as_it_is(tmp_path: Path, picture: np.ndarray):
    Image.fromarray(picture).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(read_image(tmp_path / "a.png", Reading()), picture)


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
    with pytest.raises(
        DataError, match=r"a\.png: mask contains 7 \(2 px\), 9 \(1 px\); expected 0..2 or 255"
    ) as caught:
        labels_of(save(tmp_path / "a.png", mask), dataset_of())
    assert caught.value.code == "D202"
    assert "7 = 255, 9 = 255" in caught.value.help


def test_an_rgb_mask_without_a_colour_table_is_d205(tmp_path: Path, dataset_of: MakeDataset):
    rgb = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    with pytest.raises(DataError, match=r"RGB image \(1x2x3\) with 2 colours") as caught:
        labels_of(save(tmp_path / "a.png", rgb), dataset_of())
    assert caught.value.code == "D205"


def test_unknown_colours_are_d203_with_their_share(tmp_path: Path, dataset_of: MakeDataset):
    rgb = np.zeros((10, 10, 3), np.uint8)
    rgb[0, 0] = (1, 2, 3)
    dataset = dataset_of(table=table_of({}, {"#000000": 0}))
    with pytest.raises(DataError, match=r"2 colours; 1 % of the pixels are not in the colour table: #010203") as caught:
        labels_of(save(tmp_path / "a.png", rgb), dataset)
    assert caught.value.code == "D203"


def test_a_jpeg_mask_is_d203_even_if_its_values_happen_to_be_known(tmp_path: Path, dataset_of: MakeDataset):
    path = save(tmp_path / "a.jpg", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match="whose compression changes class ids") as caught:
        labels_of(path, dataset_of())
    assert caught.value.code == "D203"


def test_floating_point_masks_are_d205(tmp_path: Path, dataset_of: MakeDataset):
    with pytest.raises(DataError, match="floating-point") as caught:
        labels_of(save(tmp_path / "a.tif", np.zeros((2, 2), np.float32)), dataset_of())
    assert caught.value.code == "D205"


def test_a_sample_without_a_mask_is_d220(dataset_of: MakeDataset):
    with pytest.raises(DataError, match=r"a\.png: the image has no mask") as caught:
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
    with pytest.raises(
        DataError, match=r"mask is 3x4 \(HxW\), its image 6x8 \(the mask is 2 times smaller\)"
    ) as caught:
        read_pair(sample, dataset_of())
    assert caught.value.code == "D201"
    assert "data.mask_resize=nearest" in caught.value.help


def test_sizes_without_a_whole_ratio_are_named_by_their_ratios(tmp_path: Path, dataset_of: MakeDataset):
    sample = pair(tmp_path, np.ones((6, 6, 3), np.uint8), IDS)
    with pytest.raises(DataError, match=r"ratios 2 and 1\.5"):
        read_pair(sample, dataset_of())


def test_nearest_resizing_repeats_pixels_and_invents_no_id(tmp_path: Path, dataset_of: MakeDataset):
    dataset = dataset_of(reading=Reading(mask_resize="nearest"))
    _, labels = read_pair(pair(tmp_path, np.ones((6, 8, 3), np.uint8), IDS), dataset)
    assert np.array_equal(labels, IDS.repeat(2, axis=0).repeat(2, axis=1))


def test_a_mask_drawn_on_the_unrotated_photo_is_d110(tmp_path: Path, dataset_of: MakeDataset):
    sample = pair(tmp_path, np.ones((3, 4, 3), np.uint8), IDS, orientation=6)
    with pytest.raises(DataError, match=r"EXIF orientation 6 and is 4x3 \(HxW\) upright.*unrotated") as caught:
        read_pair(sample, dataset_of())
    assert (caught.value.code, caught.value.help) == ("D110", "set data.exif=ignore")
    image, labels = read_pair(sample, dataset_of(reading=Reading(exif="ignore")))
    assert image.shape[:2] == labels.shape


def test_a_mask_drawn_on_the_upright_photo_is_d110_where_exif_is_ignored(tmp_path: Path, dataset_of: MakeDataset):
    sample = pair(tmp_path, np.ones((4, 3, 3), np.uint8), IDS, orientation=8)
    with pytest.raises(DataError) as caught:
        read_pair(sample, dataset_of(reading=Reading(exif="ignore")))
    assert (caught.value.code, caught.value.help) == ("D110", "set data.exif=apply")
