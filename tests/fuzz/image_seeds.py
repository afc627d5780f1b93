"""Image and mask files of every container, depth and layout that is read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from datasets.reading.regions.mosaics import cut
from PIL import Image, PngImagePlugin

from pixelwise.datasets.auditing.examination import examine
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.samples import Dataset, Reading, Sample

HEIGHT, WIDTH = 13, 17
PHOTO = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
IDS = (np.arange(HEIGHT * WIDTH) % 3).astype(np.uint8).reshape(HEIGHT, WIDTH)
BANDS = np.random.default_rng(4).integers(0, 3000, (HEIGHT, WIDTH, 5)).astype(np.uint16)
Write = Callable[[Path], Path]


def pillow(suffix: str, mode: str = "RGB", **options: object) -> Write:
    """Write the photo by Pillow, in a mode."""

    def write(stem: Path) -> Path:
        path = stem.with_suffix(suffix)
        exif = Image.Exif()
        exif[0x0112] = 6
        if suffix in (".jpg", ".webp"):
            options.setdefault("exif", exif)
        Image.fromarray(PHOTO).convert(mode).save(path, **options)
        return path

    return write


def texts(stem: Path) -> Path:
    """A PNG with every kind of text, a colour profile, and a chunk after the pixels."""
    info = PngImagePlugin.PngInfo()
    info.add_text("plain", "x" * 50)
    info.add_text("packed", "y" * 500, zip=True)
    info.add_itxt("XML:com.adobe.xmp", "<x/>", zip=True)
    info.add(b"vpAg", struct.pack(">IIB", 1, 1, 0), after_idat=True)
    path = stem.with_suffix(".png")
    Image.fromarray(PHOTO).convert("RGBA").save(path, pnginfo=info, icc_profile=bytes(200))
    return path


def animated(suffix: str) -> Write:
    def write(stem: Path) -> Path:
        path = stem.with_suffix(suffix)
        frames = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
        return path

    return write


def tiff(values: np.ndarray, **options: object) -> Write:
    def write(stem: Path) -> Path:
        path = stem.with_suffix(".tif")
        tifffile.imwrite(path, values, **options)
        return path

    return write


def mosaic(values: np.ndarray) -> Write:
    """Four TIFF files, and the mosaic of them as GDAL writes it."""

    def write(stem: Path) -> Path:
        return cut(stem.parent, values, (8, 10), nodata="7").rename(stem.with_suffix(".vrt"))

    return write


def array(values: np.ndarray) -> Write:
    def write(stem: Path) -> Path:
        path = stem.with_suffix(".npy")
        np.save(path, values)
        return path

    return write


def stored(suffix: str, values: np.ndarray, mode: str | None = None) -> Write:
    def write(stem: Path) -> Path:
        path = stem.with_suffix(suffix)
        image = Image.fromarray(values)
        if mode == "P":
            image.putpalette([1, 2, 3, 40, 50, 60, 70, 80, 90])
        (image if mode in (None, "P") else image.convert(mode)).save(path)
        return path

    return write


IMAGES: dict[str, Write] = {
    "jpeg": pillow(".jpg"),
    "jpeg-progressive": pillow(".jpg", progressive=True),
    "jpeg-cmyk": pillow(".jpg", "CMYK"),
    "png": pillow(".png"),
    "png-1": pillow(".png", "1"),
    "png-grey": pillow(".png", "L"),
    "png-palette": pillow(".png", "P"),
    "png-16": stored(".png", BANDS[..., 0]),
    "png-texts": texts,
    "png-animated": animated(".png"),
    "webp": pillow(".webp"),
    "webp-lossless": pillow(".webp", lossless=True),
    "webp-animated": animated(".webp"),
    "gif": pillow(".gif", "P"),
    "gif-animated": animated(".gif"),
    "bmp": pillow(".bmp"),
    "tiff": pillow(".tif"),
    "tiff-lzw": pillow(".tif", compression="tiff_lzw"),
    "tiff-jpeg": pillow(".tif", compression="jpeg"),
    "bands-tiff": tiff(BANDS, planarconfig="contig", photometric="minisblack"),
    "bands-tiff-tiled": tiff(BANDS, tile=(16, 16), compression="zlib", photometric="minisblack", planarconfig="contig"),
    "bands-tiff-pages": tiff(np.moveaxis(BANDS, 2, 0), photometric="minisblack"),
    "bands-npy": array(BANDS),
    "mosaic": mosaic(PHOTO),
}  # fmt: skip
"""Images by name; those with bands are read with `data.channels`."""
MASKS: dict[str, Write] = {
    "png": stored(".png", IDS),
    "png-palette": stored(".png", IDS, "P"),
    "png-16": stored(".png", IDS.astype(np.uint16)),
    "png-rgb": stored(".png", np.repeat(IDS[..., None], 3, 2)),
    "png-1": stored(".png", IDS > 1),
    "tiff": stored(".tif", IDS),
    "tiff-16": tiff(IDS.astype(np.uint16)),
    "gif": stored(".gif", IDS, "P"),
    "bmp": stored(".bmp", IDS),
    "npy": array(IDS),
    "npy-int64": array(IDS.astype(np.int64)),
}
"""Masks by name; their values are 0, 1 and 2."""


def write_pair(folder: Path, write: Write, role: str) -> None:
    """Write an image and a mask, one of them by `write`."""
    image = write(folder / "image") if role == "image" else stored(".png", PHOTO)(folder / "image")
    mask = write(folder / "mask") if role == "mask" else stored(".png", IDS)(folder / "mask")
    # With an orientation of 6, the upright image is as high as it was wide.
    if load_image(image, _readings(image)[0])[0].shape[:2] != (HEIGHT, WIDTH):
        stored(".png", np.ascontiguousarray(np.rot90(IDS)))(mask.with_suffix(""))


def _readings(image: Path) -> list[Reading]:
    """The reading options that suit the seed, then others."""
    if image.suffix == ".npy":
        return [Reading(channels=(0, 2), input_range=(0, 3000))]
    if image.suffix == ".tif":
        return [Reading(channels=(0, 2), input_range=(0, 3000)), Reading(), Reading(input_range=(0, 3000))]
    return [Reading(input_range=(0, 65535))] if image.name == "image.png" else [Reading()]


def read(folder: Path) -> list[str]:
    """Examine the pair like the audit, with and without selected bands; the codes of its errors."""
    image = next(path for path in folder.iterdir() if path.stem == "image")
    mask = next(path for path in folder.iterdir() if path.stem == "mask")
    sample = Sample("a", image, mask)
    codes: list[list[str]] = []
    for reading in _readings(image):
        dataset = Dataset(
            name="folder",
            root=folder,
            classes=("a", "b", "c"),
            palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)),
            label_table=LabelTable(ids={0: 0, 1: 1, 2: 2}),
            splits={"train": (sample,)},
            reading=reading,
        )
        codes.append([error.code for _, error in examine("train", sample, dataset, HashCache(folder)).errors])
    return codes[0]
