"""The page in Chromium: its masks are those of PyTorch, and its scripts read and resize images as Pixelwise does."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pixelwise
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Reading
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import export
from pixelwise.deployment.web.runtime import runtime_files
from pixelwise.errors import DataError
from pixelwise.prediction.sizes import RESIZE
from pixelwise.transforms.resizing import resize_image

pytestmark = pytest.mark.heavy
STATIC = Path(pixelwise.__file__).parent / "deployment" / "web" / "static"
BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def web() -> Iterator[Any]:
    """The benchmark's driver of pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("web")


@pytest.fixture(scope="module")
def browser(web: Any) -> Iterator[Any]:
    pytest.importorskip("playwright")
    if web.browser_path() is None:
        pytest.skip("there is no chromium on the PATH")
    with web.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def scripts(browser: Any) -> Iterator[Any]:
    """A page with the scripts of the worker, but for the network."""
    page = browser.new_page()
    for name in ("images.js", "resizing.js"):
        page.add_script_tag(path=STATIC / name)
    yield page
    page.close()


def array_of(text: str, size: list[int]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(*size, 3)


BASE64 = "(bytes) => { let text = ''; for (const one of bytes) text += String.fromCharCode(one); return btoa(text); }"
READ = f"""async ([content, rules]) => {{
  const file = new Blob([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))]);
  const found = await readImage(file, rules);
  return [({BASE64})(found.rgb), [found.height, found.width]];
}}"""
RESIZED = f"""([content, width, height, size, kind]) => {{
  const rgb = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  const found = resizeImage({{ width, height, rgb }}, size, kind);
  return [({BASE64})(found.rgb), [found.height, found.width]];
}}"""


def colours() -> np.ndarray:
    return draw_scene(0, 0, (33, 50))[0]


def transparent() -> Image.Image:
    rows, columns = np.mgrid[:33, :50]
    return Image.fromarray(np.dstack([colours(), (7 * rows + 5 * columns) % 256]).astype(np.uint8))


def turned(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def adaptive() -> Image.Image:
    return Image.fromarray(colours()).convert("P", palette=Image.Palette.ADAPTIVE, colors=13)


FILES: dict[str, tuple[Any, dict[str, Any]]] = {
    "RGB": (lambda: Image.fromarray(colours()), {}),
    "grey": (lambda: Image.fromarray(colours()[..., 0]), {}),
    "grey and alpha": (lambda: transparent().convert("LA"), {}),
    "RGBA": (transparent, {}),
    "bits": (lambda: Image.fromarray(colours()[..., 0] > 90), {}),
    "palette of 4 bits": (adaptive, {"bits": 4}),
    "palette with transparency": (adaptive, {"transparency": bytes([0, 90, 255])}),
    "a transparent colour": (lambda: Image.fromarray(colours()), {"transparency": tuple(map(int, colours()[5, 5]))}),
    "16 bits": (lambda: Image.fromarray((colours()[..., 1].astype(np.uint16) * 257 + 31) % 65521), {}),
}


@pytest.mark.parametrize("alpha", ["drop", "black"])
@pytest.mark.parametrize("name", FILES)
def test_png_files_are_read_as_here(name: str, alpha: Any, scripts: Any, tmp_path: Path) -> None:
    made, options = FILES[name]
    path = tmp_path / "image.png"
    made().save(path, **options)
    rules = {"exif": "apply", "alpha": alpha, "max_pixels": 10**6, "input_range": [12.0, 60000.0]}

    found = array_of(*scripts.evaluate(READ, [base64.b64encode(path.read_bytes()).decode(), rules]))

    wanted = read_image(path, Reading(alpha=alpha, input_range=(12.0, 60000.0)))
    assert np.array_equal(found, wanted), name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "options"), [("png", {}), ("jpg", {"quality": 90}), ("webp", {"lossless": True})])
def test_photos_are_turned_upright(
    suffix: str, options: dict[str, Any], orientation: int, scripts: Any, tmp_path: Path
) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(colours()).save(path, exif=turned(orientation), **options)
    content = base64.b64encode(path.read_bytes()).decode()

    for exif in ("apply", "ignore"):
        rules = {"exif": exif, "alpha": "drop", "max_pixels": 10**6}
        found = array_of(*scripts.evaluate(READ, [content, rules]))
        wanted = read_image(path, Reading(exif=exif))  # type: ignore[arg-type]
        assert found.shape == wanted.shape
        # Decoders of JPEG may round in different ways.
        assert abs(found.astype(int) - wanted).max() <= (0 if suffix == "png" else 2)


def test_what_is_refused_here_is_refused_there(scripts: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(colours()[..., 0].astype(np.uint16) * 257).save(path)
    content = base64.b64encode(path.read_bytes()).decode()

    for rules, reading, code in (
        ({"max_pixels": 10**6}, Reading(), "D104"),
        ({"max_pixels": 1000, "input_range": [0, 65535]}, Reading(max_pixels=1000, input_range=(0, 65535)), "D120"),
    ):
        with pytest.raises(DataError) as caught:
            read_image(path, reading)
        assert caught.value.code == code
        with pytest.raises(Exception, match="16 bits per channel" if code == "D104" else "33 pixels; at most 1000"):
            scripts.evaluate(READ, [content, {"exif": "apply", "alpha": "drop"} | rules])


@pytest.mark.parametrize("size", [(33, 20), (17, 50), (11, 13), (40, 91), (33, 50), (1, 1)])
@pytest.mark.parametrize(("kind", "most"), [("antialiased", 0), ("linear", 1), ("area", 1)])
def test_images_are_resized_as_here(kind: str, most: int, size: tuple[int, int], scripts: Any) -> None:
    image = colours()
    given = [base64.b64encode(image.tobytes()).decode(), 50, 33, list(size), kind]

    found = array_of(*scripts.evaluate(RESIZED, given))

    assert abs(found.astype(int) - RESIZE[kind](image, size)).max() <= most


NETWORKS: dict[str, dict[str, Any]] = {
    "as a run": {},
    "bytes in, class ids out": {"uint8_input": True, "argmax": True},
    "one size, through windows": {"size": (48, 64)},
    "bytes of one size to class ids, through windows": {"size": (48, 64), "uint8_input": True, "argmax": True},
    "stride of the head": {"output_stride": "head"},
}


JOINED = ("bytes in, class ids out", "one size, through windows")
"""Those whose parts are tried together in "bytes of one size to class ids, through windows"."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.fuzz if name in JOINED else pytest.mark.heavy) for name in NETWORKS]
)
def test_masks_are_those_of_pytorch(name: str, small_run: Path, browser: Any, web: Any, tmp_path: Path) -> None:
    try:
        runtime_files()
    except DataError as error:
        pytest.skip(f"onnxruntime-web cannot be had: {error}")
    exported = export(small_run, tmp_path / "page", "web", **NETWORKS[name])
    assert exported.page is not None
    photos = {}
    for index, size in enumerate(((48, 64), (100, 150), (31, 40))):
        photos[tmp_path / f"photo {index}.png"] = resize_image(draw_scene(0, index, (96, 128))[0], size)
    segmenter = pixelwise.load(exported.path)

    with web.served(exported.page.parent) as address:
        for where in (address, exported.page.as_uri()):
            page = web.Page(browser, where)
            for path, pixels in photos.items():
                Image.fromarray(pixels).save(path)
                found, said = page.mask(path)
                assert np.array_equal(found, segmenter.predict(path).labels), (where, path, said)
            assert page.foreign == []
            page.seen.close()
