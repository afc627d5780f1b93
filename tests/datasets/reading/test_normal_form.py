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

from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import from_pillow, load_image, read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError

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
    assert facts.stored_size == stored.shape[:2]
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


@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_image_has_one_normal_form(tmp_path_factory: pytest.TempPathFactory, case: tuple):
    check_form(tmp_path_factory.getbasetemp(), *case)


@pytest.mark.heavy
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
