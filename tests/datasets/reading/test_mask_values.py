"""Masks are stored numbers, whatever file they come in."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import as_stored, exif_block, png, save, xmp_packet
from PIL import Image

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.mask_values import RawMask, load_mask
from pixelwise.errors import DataError

INTEGERS = [np.dtype(kind + str(size)) for kind in "ui" for size in (1, 2, 4, 8)]
FROM_ALPHA = LabelTable(from_alpha=True)
OF_IDS = LabelTable(ids={0: 0, 1: 1})


def load(path: Path, table: LabelTable = LabelTable(), **options: object) -> RawMask:  # noqa: B008 (immutable)
    return load_mask(path, table, max_pixels=10_000, **options)  # type: ignore[arg-type]


def refused(path: Path, table: LabelTable = LabelTable()) -> DataError:  # noqa: B008 (immutable)
    with pytest.raises(DataError) as caught:
        load(path, table)
    assert str(path) in caught.value.message
    return caught.value


@st.composite
def masks_of_integers(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, object]]:
    dtype = draw(st.sampled_from(INTEGERS))
    limits = np.iinfo(dtype)
    value = st.sampled_from([0, 1, 2, 255, limits.min, limits.max]) | st.integers(int(limits.min), int(limits.max))
    height, width = draw(st.tuples(st.integers(1, 5), st.integers(1, 7)))
    values = draw(st.lists(value.filter(lambda v: limits.min <= v <= limits.max), min_size=height * width, max_size=35))
    options = {
        "byteorder": draw(st.sampled_from("<>")),
        "compression": draw(st.sampled_from([None, "zlib", "lzw", "packbits", "lzma"])),
        "photometric": draw(st.sampled_from(["minisblack", "miniswhite"])),
        "tile": draw(st.sampled_from([None, (16, 16)])),
        "bigtiff": draw(st.booleans()),
    }
    return np.array(values[: height * width], dtype).reshape(height, width), options


def check_integers(folder: Path, values: np.ndarray, options: dict[str, object]) -> None:
    tifffile.imwrite(folder / "a.tif", values, **options)
    np.save(folder / "a.npy", values)
    for name in ("a.tif", "a.npy"):
        read = load(folder / name)
        assert read.values.tolist() == values.tolist()
        assert read.lossless
        # A value that nobody named is counted as it is; one that is named is found.
        wanted = int(values.flat[0])
        labels, unknown = LabelTable(ids={wanted: 3}).map_ids(read.values)
        assert labels.tolist() == np.where(values == values.flat[0], 3, 255).tolist()
        others = [value for value in values.ravel().tolist() if value != wanted]
        assert unknown == {value: others.count(value) for value in others}


@settings(max_examples=60, deadline=None)
@given(masks_of_integers())
def test_integers_of_any_width_and_sign_are_read_as_they_are_stored(
    tmp_path_factory: pytest.TempPathFactory, mask: tuple[np.ndarray, dict[str, object]]
):
    check_integers(tmp_path_factory.getbasetemp(), *mask)


@pytest.mark.fuzz
@settings(max_examples=3000, deadline=None)
@given(masks_of_integers())
def test_many_more_masks_of_integers(
    tmp_path_factory: pytest.TempPathFactory, mask: tuple[np.ndarray, dict[str, object]]
):
    check_integers(tmp_path_factory.getbasetemp(), *mask)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits_are_neither_stretched_nor_inverted_in_tiff_files(tmp_path: Path, bits: int, photometric: str):
    values = (np.arange(21).reshape(3, 7) % (1 << bits)).astype(np.uint16 if bits == 16 else np.uint8)
    written = values.astype(bool) if bits == 1 else values
    packed = {} if bits in (1, 8, 16) else {"bitspersample": bits}
    tifffile.imwrite(tmp_path / "a.tif", written, photometric=photometric, **packed)
    read = load(tmp_path / "a.tif")
    assert read.values.tolist() == values.tolist()
    assert read.encoding == f"{bits}-bit TIFF"


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_bilevel_masks_are_0_and_1_however_they_are_compressed(tmp_path: Path, compression: str, photometric: int):
    bits = np.array([[0, 1, 1, 0, 1, 0, 0, 0, 1], [1, 1, 0, 0, 0, 1, 0, 1, 0]], bool)
    Image.fromarray(bits).save(tmp_path / "a.tif", compression=compression, tiffinfo={262: photometric})
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        stored = file.pages[0].asarray()
    assert load(tmp_path / "a.tif").values.tolist() == stored.astype(int).tolist()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("hidden", [False, True])
def test_grey_png_masks_keep_their_values_even_if_one_is_transparent(tmp_path: Path, bits: int, hidden: bool):
    values = np.arange(21).reshape(3, 7) * 3001 % (1 << bits)
    key = ((b"tRNS", struct.pack(">H", 1)),) if hidden else ()
    (tmp_path / "a.png").write_bytes(png(values, kind=0, bits=bits, before=key))
    assert load(tmp_path / "a.png").values.tolist() == values.tolist()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("hidden", [False, True])
def test_palette_png_masks_keep_their_indices(tmp_path: Path, bits: int, hidden: bool):
    values = np.arange(12).reshape(3, 4) % min(1 << bits, 11)
    colors = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3), np.uint8)
    before = ((b"PLTE", colors.tobytes()), *([(b"tRNS", b"\0\x80")] if hidden else []))
    (tmp_path / "a.png").write_bytes(png(values, kind=3, bits=bits, before=before))
    read = load(tmp_path / "a.png")
    assert read.values.tolist() == values.tolist()
    assert read.palette is not None
    assert read.palette[: values.max() + 1].tolist() == colors[: values.max() + 1].tolist()
    assert (read.encoding, read.transparent) == ("palette PNG", False)


@pytest.mark.parametrize("kind", ["tif", "gif", "bmp"])
def test_palettes_of_other_formats_keep_their_indices(tmp_path: Path, kind: str):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5
    colors = [[9, 8, 7], [250, 0, 0], [0, 250, 0], [0, 0, 250], [70, 70, 70]]
    image = Image.fromarray(values)
    image.putpalette([part for color in colors for part in color])
    image.save(tmp_path / f"a.{kind}")
    read = load(tmp_path / f"a.{kind}")
    if kind == "gif":  # its writer sorts the palette: the colours of the pixels stay
        assert read.palette is not None
        assert read.palette[read.values].tolist() == np.array(colors)[values].tolist()
    else:
        assert read.values.tolist() == values.tolist()
    by_color = load(tmp_path / f"a.{kind}", table_of({}, {"#fa0000": 1}))
    assert by_color.values.tolist() == np.array(colors)[values].tolist()


@pytest.mark.parametrize("palette", [[0, 0, 0, 255, 255, 255], [255, 255, 255, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
def test_a_palette_of_black_and_white_in_any_order_changes_no_index(tmp_path: Path, palette: list[int]):
    values = np.array([[0, 1, 1], [1, 0, 0]])
    (tmp_path / "a.png").write_bytes(png(values, kind=3, bits=1, before=((b"PLTE", bytes(palette)),)))
    assert load(tmp_path / "a.png").values.tolist() == values.tolist()
    assert load(tmp_path / "a.png", OF_IDS).values.tolist() == values.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_whole_floating_point_numbers_are_ids_and_fractions_are_not(tmp_path: Path, dtype: type):
    whole = np.array([[0, 7, 255], [-1, 2000, 1]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", whole)
    np.save(tmp_path / "a.npy", whole)
    for name in ("a.tif", "a.npy"):
        assert load(tmp_path / name).values.tolist() == [[0, 7, 255], [-1, 2000, 1]]
    for number in (0.5, np.nan, np.inf):
        values = whole.copy()
        values[1, 2] = number
        tifffile.imwrite(tmp_path / "b.tif", values)
        np.save(tmp_path / "b.npy", values)
        for name in ("b.tif", "b.npy"):
            found = refused(tmp_path / name)
            assert found.code == "D205"
            assert f"1 px are not whole numbers, such as {number:g}" in found.message


def test_a_photometric_interpretation_that_is_missing_changes_nothing(tmp_path: Path):
    values = np.array([[0, 1, 2]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    start = content.index(struct.pack("<HHI", 262, 3, 1))
    content[start : start + 2] = struct.pack("<H", 65000)
    (tmp_path / "a.tif").write_bytes(content)
    assert load(tmp_path / "a.tif").values.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_and_grey_colours_of_tiff_files(tmp_path: Path, planar: str):
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    for values in (rgb, np.repeat(rgb[..., :1], 3, axis=2)):
        stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
        read = load(tmp_path / "a.tif")
        assert read.values.tolist() == (values[..., 0] if read.grey_rgb else values).tolist()


@pytest.mark.parametrize("kind", ["tif", "png"])
def test_16_bit_colours_are_ids_if_grey_and_8_bit_colours_if_they_were_such(tmp_path: Path, kind: str):
    def write(values: np.ndarray) -> Path:
        path = tmp_path / f"a.{kind}"
        if kind == "tif":
            tifffile.imwrite(path, values.astype(np.uint16), photometric="rgb")
        else:
            path.write_bytes(png(values, kind=2, bits=16))
        return path

    ids = np.array([[0, 300], [7001, 65535]])
    assert load(write(np.repeat(ids[..., None], 3, axis=2))).values.tolist() == ids.tolist()
    colors = np.array([[[1, 2, 3], [255, 0, 0]]])
    assert load(write(colors * 257)).values.tolist() == colors.tolist()
    assert refused(write(colors * 257 + 1)).code == "D205"


def test_16_bit_grey_with_alpha_keeps_its_ids(tmp_path: Path):
    ids = np.array([[0, 300, 7001]])
    (tmp_path / "a.png").write_bytes(png(np.dstack([ids, np.full_like(ids, 65535)]), kind=4, bits=16))
    assert load(tmp_path / "a.png").values.tolist() == ids.tolist()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_threshold_means_the_same_for_few_bits(tmp_path: Path, bits: int):
    values = np.arange(1 << bits, dtype=np.uint8)[None]
    (tmp_path / "a.png").write_bytes(png(values, kind=0, bits=bits))
    written = values.astype(bool) if bits == 1 else values
    tifffile.imwrite(tmp_path / "a.tif", written, **({} if bits == 1 else {"bitspersample": bits}))
    table = LabelTable(threshold=128, ids={0: 0, 1: 1})
    expected = [[int(255 * value / ((1 << bits) - 1) >= 128) for value in range(1 << bits)]]
    for name in ("a.png", "a.tif"):
        assert table.map_ids(load(tmp_path / name, table).values)[0].tolist() == expected


# Transparency


def rgba(color: object, alpha: object) -> np.ndarray:
    """(2, 3, 4) uint8 of one colour, or a colour per pixel."""
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = np.array(color), np.array(alpha)
    return pixels


SHAPE = [[0, 255, 255], [0, 0, 255]]


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
@pytest.mark.parametrize("soft", [False, True])
def test_a_shape_in_the_alpha_channel_is_named_and_the_way_out_reads_it(
    tmp_path: Path, color: tuple[int, int, int], kind: str, soft: bool
):
    alpha = np.array(SHAPE, np.uint8)
    alpha = np.where(alpha > 0, 250, 3).astype(np.uint8) if soft else alpha
    options = {"lossless": True, "exact": True} if kind == "webp" else {}
    path = save(tmp_path / f"a.{kind}", rgba(color, alpha), **options)
    found = refused(path)
    assert found.code == "D140"
    assert "alpha channel" in found.message
    assert "data.mask_channel=alpha data.mask_threshold=128" in found.help
    table = LabelTable(ids={0: 0, 1: 1}, threshold=128, from_alpha=True)
    assert table.map_ids(load(path, table).values)[0].tolist() == [[0, 1, 1], [0, 0, 1]]
    assert load(path, FROM_ALPHA).values.tolist() == alpha.tolist()


def test_erased_pixels_of_a_colour_that_is_visible_elsewhere_are_named(tmp_path: Path):
    colors = [[(255, 0, 0), (255, 0, 0), (0, 0, 0)], [(0, 0, 0), (0, 0, 0), (0, 0, 255)]]
    found = refused(save(tmp_path / "a.png", rgba(colors, [[255, 0, 255], [255, 255, 255]])))
    assert found.code == "D140"
    assert "the colour #ff0000 is transparent in some pixels" in found.message


def test_a_cut_out_photo_is_named(tmp_path: Path):
    rng = np.random.default_rng(0)
    photo = np.dstack([rng.integers(0, 256, (20, 20, 3), np.uint8), np.full((20, 20), 255, np.uint8)])
    photo[:10] = 0
    found = refused(save(tmp_path / "a.png", photo))
    assert found.code == "D140"
    assert "picture" in found.message


def test_colours_that_tell_everything_are_read_and_their_transparency_is_noted(tmp_path: Path):
    colors = np.where(np.array(SHAPE)[..., None] > 0, (255, 0, 0), (0, 0, 0))
    read = load(save(tmp_path / "a.png", rgba(colors, SHAPE)))
    assert read.transparent
    assert read.values.tolist() == colors.tolist()
    assert not load(save(tmp_path / "b.png", rgba(colors, 255))).transparent
    assert not load(save(tmp_path / "c.png", rgba(colors, 0))).transparent


def test_grey_ids_with_alpha(tmp_path: Path):
    ids = np.array([[0, 1, 2], [0, 0, 2]], np.uint8)
    visible = np.where(ids > 0, 255, 0).astype(np.uint8)
    read = load(save(tmp_path / "a.png", np.dstack([ids, visible])))
    assert (read.values.tolist(), read.transparent) == (ids.tolist(), True)
    assert refused(save(tmp_path / "b.png", np.dstack([ids, visible[::-1]]))).code == "D140"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_a_mask_without_alpha_is_not_read_from_it(tmp_path: Path, name: str):
    ids = np.zeros((2, 3), np.uint8)
    np.save(tmp_path / name, ids) if name == "a.npy" else save(tmp_path / name, ids)
    found = refused(tmp_path / name, FROM_ALPHA)
    assert found.code == "D141"
    assert "data.mask_channel" in found.help


def test_alpha_of_16_bits_and_of_palettes_becomes_8_bits(tmp_path: Path):
    alpha = np.array([[0, 65535, 32768]])
    (tmp_path / "a.png").write_bytes(png(np.dstack([alpha * 0, alpha]), kind=4, bits=16))
    assert load(tmp_path / "a.png", FROM_ALPHA).values.tolist() == [[0, 255, 128]]
    before = ((b"PLTE", bytes(9)), (b"tRNS", bytes([0, 255, 128])))
    (tmp_path / "b.png").write_bytes(png(np.array([[0, 1, 2]]), kind=3, bits=2, before=before))
    assert load(tmp_path / "b.png", FROM_ALPHA).values.tolist() == [[0, 255, 128]]


# Pages, frames, bands


@pytest.mark.parametrize("kind", ["pages", "stack", "imagej", "sizes"])
def test_further_pages_of_other_content_are_refused(tmp_path: Path, kind: str):
    pages = np.array([np.eye(6, 5), np.zeros((6, 5)), np.ones((6, 5))], np.uint8)
    path = tmp_path / "a.tif"
    if kind == "imagej":
        tifffile.imwrite(path, pages, imagej=True, metadata={"axes": "ZYX"})
    elif kind == "stack":
        tifffile.imwrite(path, pages, photometric="minisblack")
    else:
        with tifffile.TiffWriter(path) as writer:
            for page in pages if kind == "pages" else (pages[0], pages[1][:3]):
                writer.write(page, metadata=None)
    found = refused(path)
    assert found.code == "D142"
    assert "pages" in found.message


def test_equal_pages_and_smaller_copies_are_no_further_masks(tmp_path: Path):
    values = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(values, metadata=None)
        writer.write(values[::2, ::2], subfiletype=1, metadata=None)
        writer.write(values, metadata=None)
    assert load(tmp_path / "a.tif").values.tolist() == values.tolist()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animated_masks_are_refused_unless_nothing_moves(tmp_path: Path, kind: str):
    frames = [Image.fromarray(np.full((4, 5), value, np.uint8)).convert("RGB") for value in (0, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(tmp_path / "a", kind, save_all=True, append_images=frames[1:], duration=100, **options)
    found = refused(tmp_path / "a")
    assert found.code == "D142"
    assert "frames" in found.message
    frames[0].save(tmp_path / "b", kind, save_all=True, append_images=frames[:1], duration=100, **options)
    assert load(tmp_path / "b").values.shape == (4, 5)


@pytest.mark.parametrize("bands", [2, 5])
def test_several_bands_are_no_mask(tmp_path: Path, bands: int):
    values = np.zeros((4, 5, bands), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    found = refused(tmp_path / "a.tif")
    assert found.code == "D205"
    assert f"{bands} bands" in found.message


def test_a_tiff_file_compressed_as_jpeg_is_lossy(tmp_path: Path):
    for shape in ((16, 16), (16, 16, 3)):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), compression="jpeg")
        assert not load(tmp_path / "a.tif").lossless


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("place", ["tag", "exif", "xmp"])
def test_a_mask_is_turned_by_the_orientation_that_its_own_file_states(tmp_path: Path, orientation: int, place: str):
    upright = np.arange(12).reshape(3, 4)
    stored = as_stored(upright, orientation)
    path = tmp_path / "a"
    if place == "tag":
        tifffile.imwrite(path, stored.astype(np.uint8), extratags=[(274, 3, 1, orientation, False)])
    else:
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_packet(orientation)
        chunk = (b"eXIf", exif_block(orientation)) if place == "exif" else (b"iTXt", text)
        path.write_bytes(png(stored, kind=0, before=(chunk,)))
    assert load(path).values.tolist() == upright.tolist()
    assert load(path, exif="ignore").values.tolist() == stored.tolist()
