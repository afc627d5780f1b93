"""One mask in every encoding that PNG and TIFF files have for it, the disturbed and the doubtful ones included."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

SIZE = (70, 53)
_RANDOM = np.random.default_rng(3)
_IDS = np.kron(_RANDOM.choice([0, 1, 2, 3], (7, 6)), np.ones((10, 10))).astype(np.uint8)[: SIZE[0], : SIZE[1]]
_NOISE = _RANDOM.random(SIZE) < 0.02
_DISTURBED = np.clip(_IDS.astype(np.int64) * 20 + _NOISE * _RANDOM.integers(-3, 4, SIZE), 0, 255)
_COLORS = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
_RGB = _COLORS[_IDS]
_NOISY = np.where(_NOISE[..., None], _RGB + 3, _RGB).astype(np.uint8)
_GREY = np.repeat(_IDS[..., None], 3, axis=2)
_NEARLY_GREY = _GREY.copy()
_NEARLY_GREY[-1, -1] = (1, 2, 3)
_ALPHA = (_IDS > 1).astype(np.uint8) * 255
_OPAQUE = np.full_like(_IDS, 255)


def encoded() -> dict[str, bytes]:
    """The content of a file by what it is, whose first three letters are `png` or `tif`."""
    pngs, tiffs = _pngs(), _tiffs()
    return {f"png {name}": content for name, content in pngs.items()} | {
        f"tif {name}": content for name, content in tiffs.items()
    }


def _pngs() -> dict[str, bytes]:
    palette = Image.fromarray(_IDS, "P")
    palette.putpalette(_COLORS.ravel().tolist())
    return {
        "ids": _png(_IDS),
        "disturbed": _png(_DISTURBED.astype(np.uint8)),
        "16 bits": _png((_DISTURBED * 100).astype(np.uint16)),
        "1 bit": _png(_IDS > 1),
        "palette": _png(palette),
        "palette with transparency": _png(palette, transparency=bytes([0, 255, 128, 255])),
        "palette of 2 bits": _png(palette, bits=2),
        "RGB": _png(_RGB),
        "noisy RGB": _png(_NOISY),
        "grey RGB": _png(_GREY),
        "nearly grey RGB": _png(_NEARLY_GREY),
        "opaque RGBA": _png(np.dstack([_RGB, _OPAQUE])),
        "RGBA": _png(np.dstack([_RGB, _ALPHA])),
        "grey and alpha": _png(Image.fromarray(np.dstack([_IDS, _ALPHA]), "LA")),
        "grey and opaque": _png(Image.fromarray(np.dstack([_IDS, _OPAQUE]), "LA")),
        "RGB with a transparent colour": _png(_RGB, transparency=(200, 0, 0)),
        "ids with a transparent value": _png(_IDS, transparency=1),
        "RGB of 16 bits": imagecodecs.png_encode(_RGB.astype(np.uint16) * 257),
        "other RGB of 16 bits": imagecodecs.png_encode(_RGB.astype(np.uint16) * 256),
        "grey RGB of 16 bits": imagecodecs.png_encode(_GREY.astype(np.uint16) * 257),
    }


def _tiffs() -> dict[str, bytes]:
    colors = np.zeros((3, 256), np.uint16)
    colors[:, :4] = _COLORS.T.astype(np.uint16) * 257
    jpeg: dict[str, Any] = {"compression": "jpeg", "compressionargs": {"level": 90}}
    straight: dict[str, Any] = {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    return {
        "ids": _tiff(_IDS),
        "ids in strips": _tiff(_IDS, tile=None, rowsperstrip=7),
        "turned ids": _tiff(_IDS, extratags=[(274, "H", 1, 6, True)]),
        "white is zero": _tiff(_IDS, photometric="miniswhite"),
        "palette": _tiff(_IDS, photometric="palette", colormap=colors),
        "truth values": _tiff(_IDS > 1),
        "disturbed": _tiff(_DISTURBED.astype(np.uint8)),
        "uint16": _tiff((_DISTURBED * 100).astype(np.uint16)),
        "int32": _tiff(_DISTURBED.astype(np.int32)),
        "wide int32": _tiff(_DISTURBED.astype(np.int32) * 5000),
        "negative": _tiff(_IDS.astype(np.int8) - 1),
        "uint64": _tiff(_DISTURBED.astype(np.uint64) << np.uint64(57)),
        "whole numbers in float32": _tiff(_DISTURBED.astype(np.float32)),
        "fractions": _tiff((_DISTURBED + 0.5 * _NOISE).astype(np.float32)),
        "two bands": _tiff(np.dstack([_IDS, _IDS]), planarconfig="contig"),
        "RGB": _tiff(_RGB),
        "RGB in planes": _tiff(np.moveaxis(_RGB, 2, 0), planarconfig="separate", photometric="rgb"),
        "noisy turned RGB": _tiff(_NOISY, extratags=[(274, "H", 1, 8, True)]),
        "grey RGB": _tiff(_GREY),
        "nearly grey RGB": _tiff(_NEARLY_GREY),
        "RGB of 16 bits": _tiff(_RGB.astype(np.uint16) * 257),
        "other RGB of 16 bits": _tiff(_RGB.astype(np.uint16) * 256),
        "RGB of 32 bits": _tiff(_RGB.astype(np.uint32)),
        "grey RGB of 32 bits": _tiff(_GREY.astype(np.int32)),
        "grey RGB of float32": _tiff(_GREY.astype(np.float32)),
        "grey and alpha": _tiff(np.dstack([_IDS, _ALPHA]), **straight),
        "grey and opaque": _tiff(np.dstack([_IDS, _OPAQUE]), **straight),
        "RGBA": _tiff(np.dstack([_RGB, _ALPHA]), **straight),
        "opaque RGBA": _tiff(np.dstack([_RGB, _OPAQUE]), extrasamples=["assocalpha"]),
        "JPEG": _tiff(_DISTURBED.astype(np.uint8), **jpeg),
        "JPEG of RGB": _tiff(_RGB, **jpeg),
        "JPEG of YCbCr": _tiff(_RGB, photometric="ycbcr", **jpeg),
        "JPEG of grey RGB": _tiff(np.repeat(_DISTURBED.astype(np.uint8)[..., None], 3, axis=2), **jpeg),
    }


def _png(mask: np.ndarray | Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def _tiff(mask: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    photometric = "rgb" if mask.ndim == 3 and mask.shape[2] >= 3 else "minisblack"
    tifffile.imwrite(stream, mask, **{"photometric": photometric, "tile": (32, 16), "metadata": None} | options)
    return stream.getvalue()
