"""An image is the same pixels whatever file, array or Pillow image it comes from, and whichever options are set.

Files are written from arrays; what is expected is computed from these arrays by arithmetic of its own.
"""

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import as_stored, exif_block, png, xmp_packet
from PIL import Image

from pixelwise.datasets.reading import normal_form
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import from_pillow, load_image, read_image
from pixelwise.datasets.reading.normal_form import Picture, normalise, to_bytes
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, RecipeError

Stated = dict[str, int]
Writer = Callable[[np.ndarray, Stated], bytes]


class Form(NamedTuple):
    """A kind of file.

    Attributes:
        write: Writes stored samples, with an orientation stated in some places, as a file.
        samples: Number of samples per pixel.
        largest: Largest sample.
        places: Where its orientation can be stated.
        inverted: Whether the lowest sample is white.
        alpha: Whether the last sample is transparency: `straight`, `premultiplied` or none.
        tolerance: How far pixels may be off, for lossy formats and rounded conversions.
        reduced: Whether Pillow alone cannot give the exact samples.
    """

    write: Writer
    samples: int
    largest: int = 255
    places: tuple[str, ...] = ()
    inverted: bool = False
    alpha: str = ""
    tolerance: int = 0
    reduced: bool = False


def png_form(kind: int, samples: int, bits: int = 8, **more: object) -> Form:
    def write(stored: np.ndarray, stated: Stated) -> bytes:
        before: list[tuple[bytes, bytes]] = []
        behind: list[tuple[bytes, bytes]] = []
        if kind == 3:
            before.append((b"PLTE", PALETTE.tobytes()))
            if more.get("alpha"):
                before.append((b"tRNS", PALETTE_ALPHA.tobytes()))
        if "xmp" in stated:
            before.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_packet(stated["xmp"])))
        if "text" in stated:
            block = b"Exif\0\0" + exif_block(stated["text"])
            before.append((b"tEXt", b"Raw profile type exif\0" + f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()))
        if "exif" in stated:
            before.append((b"eXIf", exif_block(stated["exif"])))
        if "behind" in stated:
            behind.append((b"eXIf", exif_block(stated["behind"])))
        samples_last = stored[..., 0] if kind == 3 else stored
        return png(samples_last, kind=kind, bits=bits, before=tuple(before), behind=tuple(behind))

    places = ("exif", "behind", "text", "xmp")
    return Form(write, samples, (1 << bits) - 1 if kind != 3 else 255, places, **more)  # type: ignore[arg-type]


def tiff_form(samples: int, dtype: type = np.uint8, **more: object) -> Form:
    options = dict(more.pop("options", {}))  # type: ignore[call-overload]
    photometric = options.setdefault("photometric", "rgb" if samples > 2 else "minisblack")

    def write(stored: np.ndarray, stated: Stated) -> bytes:
        tags = [(274, 3, 1, stated["tag"], False)] if "tag" in stated else []
        if "xmp" in stated:
            packet = xmp_packet(stated["xmp"], as_element=True)
            tags.append((700, 1, len(packet), packet, False))
        values = stored.astype(dtype)
        if photometric == "palette":
            values, options["colormap"] = values[..., 0], PALETTE.T.astype(np.uint16) * 257
        elif samples == 1:
            values = values[..., 0]
        elif options.get("planarconfig") == "separate":
            values = np.moveaxis(values, 2, 0)
        stream = io.BytesIO()
        tifffile.imwrite(stream, values, extratags=tags, metadata=None, **options)
        return stream.getvalue()

    largest = int(more.pop("largest", np.iinfo(dtype).max if dtype is not bool else 1))  # type: ignore[call-overload]
    return Form(write, samples, largest, ("tag", "xmp"), **more)  # type: ignore[arg-type]


def pillow_form(kind: str, samples: int, places: tuple[str, ...] = (), **more: object) -> Form:
    options = dict(more.pop("options", {}))  # type: ignore[call-overload]
    mode = more.pop("mode", None)

    def write(stored: np.ndarray, stated: Stated) -> bytes:
        image = Image.fromarray((stored[..., 0] if samples == 1 else stored).astype(np.uint8))
        image = image if mode is None else image.convert(str(mode))
        extra: dict[str, object] = {}
        if "exif" in stated:
            extra["exif"] = b"Exif\0\0" + exif_block(stated["exif"])
        if "xmp" in stated:
            extra["xmp"] = xmp_packet(stated["xmp"])
        stream = io.BytesIO()
        image.save(stream, kind, **options, **extra)
        return stream.getvalue()

    return Form(write, samples, 255, places, **more)  # type: ignore[arg-type]


PALETTE = np.random.default_rng(5).integers(0, 256, (256, 3), np.uint8)
PALETTE_ALPHA = np.random.default_rng(6).choice(np.array([0, 77, 255], np.uint8), 256)
BOTH = ("exif", "xmp")
LOSSLESS = {"options": {"lossless": True, "exact": True}}
FORMS = {
    "png grey 1": png_form(0, 1, 1),
    "png grey 2": png_form(0, 1, 2),
    "png grey 4": png_form(0, 1, 4),
    "png grey": png_form(0, 1),
    "png grey 16": png_form(0, 1, 16),
    "png grey alpha": png_form(4, 2, alpha="straight"),
    "png grey alpha 16": png_form(4, 2, 16, alpha="straight", reduced=True),
    "png rgb": png_form(2, 3),
    "png rgb 16": png_form(2, 3, 16, reduced=True),
    "png rgba": png_form(6, 4, alpha="straight"),
    "png rgba 16": png_form(6, 4, 16, alpha="straight", reduced=True),
    "png palette": png_form(3, 1),
    "png palette alpha": png_form(3, 1, alpha="straight"),
    "tiff grey 1": tiff_form(1, bool),
    "tiff grey 4": tiff_form(1, largest=15, options={"bitspersample": 4}),
    "tiff grey": tiff_form(1, options={"compression": "lzw"}),
    "tiff grey tiled": tiff_form(1, options={"tile": (16, 16)}),
    "tiff grey 16": tiff_form(1, np.uint16, options={"byteorder": ">"}),
    "tiff white 1": tiff_form(1, bool, inverted=True, options={"photometric": "miniswhite"}),
    "tiff white": tiff_form(1, inverted=True, options={"photometric": "miniswhite"}),
    "tiff white 16": tiff_form(1, np.uint16, inverted=True, options={"photometric": "miniswhite"}),
    "tiff grey alpha": tiff_form(2, alpha="straight", options={"extrasamples": [2], "planarconfig": "contig"}),
    "tiff rgb": tiff_form(3),
    "tiff rgb planar": tiff_form(3, options={"planarconfig": "separate", "compression": "zlib"}, reduced=True),
    "tiff rgb 16": tiff_form(3, np.uint16, options={"compression": "zlib", "predictor": True}, reduced=True),
    "tiff rgba": tiff_form(4, alpha="straight", options={"extrasamples": [2]}),
    "tiff rgba premultiplied": tiff_form(4, alpha="premultiplied", options={"extrasamples": [1]}, tolerance=1),
    "tiff rgba 16": tiff_form(4, np.uint16, alpha="straight", options={"extrasamples": [2]}, reduced=True),
    "tiff palette": tiff_form(1, options={"photometric": "palette"}),
    "bmp rgb": pillow_form("BMP", 3),
    "bmp grey": pillow_form("BMP", 1),
    "gif grey": pillow_form("GIF", 1),
    "webp rgb": pillow_form("WEBP", 3, BOTH, **LOSSLESS),
    "webp rgba": pillow_form("WEBP", 4, BOTH, alpha="straight", **LOSSLESS),
    "jpeg rgb": pillow_form("JPEG", 3, BOTH, tolerance=4, options={"quality": 100, "subsampling": 0}),
    "jpeg grey": pillow_form("JPEG", 1, BOTH, tolerance=4, options={"quality": 100}),
    "jpeg cmyk": pillow_form("JPEG", 3, BOTH, tolerance=8, mode="CMYK", options={"quality": 100, "subsampling": 0}),
    "tiff cmyk": pillow_form("TIFF", 3, ("exif",), tolerance=2, mode="CMYK"),
    "tiff lab": pillow_form("TIFF", 3, tolerance=255, mode="LAB"),
    "tiff ycbcr": pillow_form("TIFF", 3, tolerance=8, mode="YCbCr", options={"compression": "raw"}),
}
PALETTES = ("png palette", "png palette alpha", "tiff palette")


def in_blocks(samples: np.ndarray) -> np.ndarray:
    """Every sample repeated over 8x8 pixels, as lossy formats keep them."""
    return samples.repeat(8, axis=0).repeat(8, axis=1)


def upright_samples(name: str, seed: int) -> np.ndarray:
    """(H, W, C) samples as they are to be seen, before anything is converted."""
    form, rng = FORMS[name], np.random.default_rng(seed)
    height, width = rng.integers(1, 5, 2)
    samples = rng.integers(0, form.largest, (height, width, form.samples), endpoint=True)
    if form.alpha and name not in PALETTES:
        samples[..., -1] = rng.choice([0, form.largest // 3, form.largest], (height, width))
    if form.alpha == "premultiplied":
        samples[..., :-1] = samples[..., :-1] * samples[..., -1:] // form.largest
    return in_blocks(samples) if form.tolerance > 1 else samples


def expected(name: str, samples: np.ndarray, alpha_option: str, input_range: tuple[float, float] | None) -> np.ndarray:
    """RGB of samples, uint8 (H, W, 3), by floating-point arithmetic."""
    form = FORMS[name]
    alpha = np.ones(samples.shape[:2])
    if name in PALETTES:
        colors = PALETTE[samples[..., 0]].astype(float)
        alpha = PALETTE_ALPHA[samples[..., 0]] / 255 if form.alpha else alpha
    else:
        colors = samples.astype(float)
        if form.alpha:
            colors, alpha = colors[..., :-1], colors[..., -1] / form.largest
        if form.alpha == "premultiplied":
            colors = np.where(alpha[..., None] > 0, colors / np.where(alpha > 0, alpha, 1)[..., None], colors)
        if form.largest > 255:
            low, high = input_range or (0, 0)
            colors = np.clip(np.floor(255 * (colors - low) / (high - low) + 0.5), 0, 255)
        else:
            colors = colors * (255 / form.largest)
    colors = 255 - colors if form.inverted else colors
    if alpha_option == "black":
        colors = np.round(colors) * np.round(255 * alpha)[..., None] / 255
    return np.floor(np.broadcast_to(colors, (*samples.shape[:2], 3)) + 0.5)


def check_form(folder: Path, name: str, orientation: int, place: str, seed: int, options: Reading) -> None:
    form = FORMS[name]
    upright = upright_samples(name, seed)
    stated = {} if place == "nowhere" else {place: orientation}
    if place == "exif" and "xmp" in form.places:
        stated["xmp"] = orientation % 8 + 1  # EXIF wins
    stored = as_stored(upright, orientation) if stated else upright
    path = folder / "image"
    path.write_bytes(form.write(stored, stated))
    deep = form.largest > 255
    if deep and options.input_range is None:
        with pytest.raises(DataError) as caught:
            read_image(path, options)
        assert caught.value.code == "D104"
        return
    wanted = expected(name, upright if options.exif == "apply" else stored, options.alpha, options.input_range)
    wanted = wanted if options.channels is None else wanted[..., list(options.channels)]

    found, facts = load_image(path, options)

    assert (found.dtype, found.shape, found.flags.c_contiguous) == (np.uint8, wanted.shape, True)
    assert np.abs(found - wanted).max() <= form.tolerance, (found.tolist(), wanted.tolist())
    assert facts.orientation == (orientation if stated else 1)
    sizes = image_sizes(path)
    assert sizes == (stored.shape[:2], upright.shape[:2])
    if form.alpha and name not in PALETTES:
        assert facts.transparent == (upright[..., -1].min() < form.largest)
    for loaded in (False, True):
        # Loading TIFF files by name, Pillow exchanges height and width of some.
        with Image.open(io.BytesIO(path.read_bytes()) if loaded else path) as image:
            if loaded:
                image.load()
            if form.reduced and "16" in name and not loaded:
                with pytest.raises(DataError) as caught:
                    from_pillow(image, options)
                assert caught.value.code == "D104"
            elif not form.reduced and not (loaded and image.format == "TIFF" and options.exif == "ignore"):
                assert np.array_equal(from_pillow(image, options), found), (name, loaded)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, int, str, int, Reading]:
    name = draw(st.sampled_from(sorted(FORMS)))
    place = draw(st.sampled_from(["nowhere", *FORMS[name].places]))
    options = Reading(
        exif=draw(st.sampled_from(["apply", "ignore"])),
        alpha=draw(st.sampled_from(["drop", "black"])),
        channels=draw(st.sampled_from([None, None, (0, 1, 2), (2, 1, 0), (1,)])),
        input_range=draw(st.sampled_from([None, (0, 65535), (0, 3000), (1000, 50000)])),
    )
    return name, draw(st.integers(1, 8)), place, draw(st.integers(0, 10**6)), options


@pytest.mark.heavy
@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_image_has_one_normal_form(tmp_path_factory: pytest.TempPathFactory, case: tuple):
    check_form(tmp_path_factory.getbasetemp(), *case)


@pytest.mark.fuzz
@settings(max_examples=20_000, deadline=None)
@given(cases())
def test_many_more_images_have_one_normal_form(tmp_path_factory: pytest.TempPathFactory, case: tuple):
    check_form(tmp_path_factory.getbasetemp(), *case)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_and_place_at_least_once(tmp_path: Path, name: str):
    for number, place in enumerate(("nowhere", *FORMS[name].places)):
        for alpha, exif in itertools.product(("drop", "black"), ("apply", "ignore")):
            check_form(
                tmp_path, name, 5 + number % 4, place, number, Reading(alpha=alpha, exif=exif, input_range=(0, 65535))
            )


# Pillow images of every mode, and what files of them cannot hold


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
def test_pillow_images_of_modes_without_transparency_become_rgb(mode: str):
    colors = [(200, 100, 40), (0, 0, 0), (255, 255, 255)]
    image = Image.new("RGB", (3, 1))
    image.putdata(colors)
    if mode == "LAB":
        # L of black and white is 0 and 255; a and b are 0 for greys.
        image = Image.frombytes("LAB", (3, 1), bytes([128, 0, 0, 0, 0, 0, 255, 0, 0]))
        expected, tolerance = [(119, 119, 119), (0, 0, 0), (255, 255, 255)], 4
    else:
        image = image.convert(mode, dither=Image.Dither.NONE)
        grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 40)
        light = (255 * (grey > 127),) * 3 if mode == "1" else (grey,) * 3
        expected, tolerance = [light if mode in ("1", "L") else colors[0], *colors[1:]], 5 if mode != "P" else 60
    found = from_pillow(image, Reading())
    assert found.shape == (1, 3, 3)
    assert np.abs(found[0] - np.array(expected)).max() <= tolerance


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_transparency_of_pillow_images_is_treated_as_that_of_files(mode: str):
    image = Image.frombytes("RGBA", (3, 1), bytes([90, 90, 90, 0, 90, 90, 90, 255, 90, 90, 90, 128]))
    if mode == "La":
        image = image.convert("LA")
    image = image.convert(mode)
    dropped, black = (from_pillow(image, Reading(alpha=alpha))[0, :, 0].tolist() for alpha in ("drop", "black"))
    hidden = 0 if mode in ("La", "RGBa") else 90  # multiplied colours keep nothing where alpha is 0
    assert dropped[0] == hidden
    assert np.abs(np.array(dropped[1:]) - 90).max() <= 1
    assert np.abs(np.array(black) - [0, 90, 45]).max() <= 1


@pytest.mark.parametrize("place", ["index", "bytes"])
def test_a_transparent_palette_entry_of_a_pillow_image(place: str):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.info["transparency"] = 0 if place == "index" else b"\0\xff"
    assert from_pillow(image, Reading(alpha="black")).tolist() == [[[0, 0, 0], [40, 50, 60]]]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", [0, 2])
def test_a_transparent_colour_of_a_png_file(tmp_path: Path, bits: int, kind: int):
    step = 257 if bits == 16 else 1
    samples = np.array([[[10, 20, 30], [10, 20, 31]]])[..., : 3 if kind else 1] * step
    samples[0, 1, -1] += 7  # the lower half of 16 bits counts, too
    key = b"".join(int(value).to_bytes(2, "big") for value in samples[0, 0])
    (tmp_path / "a.png").write_bytes(png(samples, kind=kind, bits=bits, before=((b"tRNS", key),)))
    pixels, facts = load_image(tmp_path / "a.png", Reading(alpha="black", input_range=(0, 65535)))
    assert facts.transparent
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert (pixels[0, 1] > 0).all()
    assert read_image(tmp_path / "a.png", Reading(input_range=(0, 65535)))[0, 0, 0] == 10


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.uint16])
def test_deep_pillow_images_need_a_range_like_their_files(tmp_path: Path, dtype: type):
    values = np.array([[0, 500], [1000, 3000]], dtype)
    image = Image.fromarray(values.astype(np.int32) if dtype is np.int16 else values)
    with pytest.raises(DataError, match=r"0\.\.3000") as caught:
        from_pillow(image, Reading())
    assert caught.value.code == "D104"
    options = Reading(input_range=(0, 1000))
    expected = [[0, 128], [255, 255]]
    assert from_pillow(image, options)[..., 0].tolist() == expected
    image.save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", options)[..., 0].tolist() == expected
    assert read_image(tmp_path / "a.tif", Reading(input_range=(0, 1000), channels=(0,)))[..., 0].tolist() == expected


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64, np.float16, np.float64])
def test_types_that_pillow_does_not_know_are_read_by_their_range(tmp_path: Path, dtype: type):
    values = np.array([[0, 50], [100, 100]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert read_image(tmp_path / "a.tif", Reading(input_range=(0, 100)))[..., 0].tolist() == [[0, 128], [255, 255]]
    with pytest.raises(DataError, match=np.dtype(dtype).name) as caught:
        read_image(tmp_path / "a.tif", Reading())
    assert caught.value.code == "D104"


@pytest.mark.parametrize("kind", ["png", "tif", "npy"])
def test_images_of_8_bits_are_read_as_they_are_whatever_the_range(tmp_path: Path, kind: str):
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    path = tmp_path / f"a.{kind}"
    np.save(path, rgb) if kind == "npy" else Image.fromarray(rgb).save(path)
    for channels in ((0, 1, 2), (2,), *([] if kind == "npy" else [None])):
        options = Reading(channels=channels, input_range=(0, 3000))
        pixels, facts = load_image(path, options)
        assert pixels.tolist() == rgb[..., list(channels or (0, 1, 2))].tolist()
        assert not facts.ranged


@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
def test_the_alpha_channel_can_be_selected_and_then_colours_stay_as_stored(tmp_path: Path, kind: str):
    rgba = np.array([[[200, 100, 50, 0], [200, 100, 50, 128]]], np.uint8)
    path = tmp_path / f"a.{kind}"
    Image.fromarray(rgba).save(path, **({"lossless": True, "exact": True} if kind == "webp" else {}))
    assert read_image(path, Reading(channels=(3, 0), alpha="black")).tolist() == rgba[..., [3, 0]].tolist()
    assert read_image(path, Reading(channels=(0, 1), alpha="black")).tolist() == [[[0, 0], [100, 50]]]
    with pytest.raises(DataError) as caught:
        read_image(path, Reading(channels=(4,)))
    assert (caught.value.code, "4 channels (0..3)" in caught.value.message) == ("D106", True)


def test_bands_are_numbered_from_0_and_one_band_has_no_second():
    grey = Picture(np.zeros((2, 3, 1), np.uint8))
    assert normalise(grey, Reading(channels=(2,)), "a").pixels.shape == (2, 3, 1)
    with pytest.raises(DataError, match=r"a: the image has 1 channel \(0\.\.0\)") as caught:
        normalise(grey._replace(is_bands=True), Reading(channels=(1,)), "a")
    assert caught.value.code == "D106"


def test_an_empty_range_is_refused_for_every_kind():
    deep = Picture(np.zeros((2, 3, 1), np.uint16), bits=16)
    with pytest.raises(RecipeError) as caught:
        normalise(deep, Reading(input_range=(5, 5)), "a")
    assert caught.value.code == "R203"


def test_colours_of_16_bits_that_pillow_has_reduced_are_refused(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(np.zeros((2, 2, 3), int), kind=2, bits=16))
    with pytest.raises(DataError, match="16 bits per colour channel") as caught:
        from_pillow(Image.open(tmp_path / "a.png"), Reading(input_range=(0, 65535)))
    assert caught.value.code == "D104"


@given(
    st.sampled_from([np.uint16, np.uint32, np.int16, np.int32, np.float32, np.float64]),
    st.lists(st.floats(-40_000, 40_000) | st.floats(0, 1) | st.floats(0, 255), min_size=2, max_size=6),
)
def test_the_proposed_range_holds_all_values_and_keeps_them_apart(dtype: type, numbers: list[float]):
    values = np.abs(numbers).astype(dtype) if np.dtype(dtype).kind == "u" else np.array(numbers).astype(dtype)
    with pytest.raises(DataError) as caught:
        to_bytes(values, "a.tif", None)
    proposed = caught.value.help.split("'data.input_range=[")[1].split("]'")[0]
    low, high = map(float, proposed.split(", "))
    assert low < high
    if values.min() < values.max():
        assert low <= values.min()
        assert values.max() <= high
    # Floating-point pictures of 0 to 1 or 0 to 255 are not read as black.
    if np.dtype(dtype).kind == "f" and values.min() == 0 and values.max() in (1, 255):
        assert to_bytes(values, "a.tif", (low, high)).max() == 255


@pytest.mark.parametrize(
    ("values", "proposed"),
    [
        (np.array([0.02, 0.6], np.float32), "[0, 1]"),
        (np.array([0.0, 1.0, np.nan]), "[0, 1]"),
        (np.array([3.0, 200.5]), "[0, 255]"),
        (np.array([3.0, 4000.0]), "[0, 65535]"),
        (np.array([-3.2, 7.5]), "[-4, 8]"),
        (np.array([3, 900], np.uint16), "[0, 65535]"),
        (np.array([0, 70_000], np.uint32), "[0, 70000]"),
    ],
)
def test_the_proposed_range_is_the_usual_one_of_such_numbers(values: np.ndarray, proposed: str):
    with pytest.raises(DataError) as caught:
        to_bytes(values, "a.tif", None)
    assert f"'data.input_range={proposed}'" in caught.value.help


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_large_pillow_images_are_taken_by_bands_of_rows(monkeypatch, mode, channels):
    monkeypatch.setattr(normal_form, "_BAND_PIXELS", 30)
    values = np.random.default_rng(6).integers(0, 256, (17, 10, channels)).astype(np.uint8)

    picture = normal_form.picture_of_pillow(Image.fromarray(values.squeeze(), mode))

    assert picture.alpha == ("straight" if channels == 4 else "none")
    assert np.array_equal(picture.values, values)
    assert picture.values.flags.writeable
