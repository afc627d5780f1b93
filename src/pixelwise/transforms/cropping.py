"""Cropping of a rotated, zoomed and flipped pair, without computing pixels outside the crop."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image

from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.sizes import Size
from pixelwise.transforms.parts import Part, Window

Fill = tuple[int, ...]
"""Colour of the padding: one uint8 value per channel."""
Content = tuple[slice, slice]
PILLOW_FILTERS = {"antialiased": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class View(NamedTuple):
    """Geometry of a crop relative to its source.

    Attributes:
        size: (height, width) of the crop.
        scale: Zoom factors of height and width.
        corner: Top and left of the crop in the zoomed source; negative where the source is smaller.
        flip: Whether the crop, padding included, is mirrored horizontally.
        angle: Counter-clockwise rotation of the source about its centre before it is zoomed, in degrees.
        resampling: A value of `augment.resampling`. Unless it is `warp`, the zoomed source measures whole pixels and
            `corner` is whole.
    """

    size: Size
    scale: tuple[float, float]
    corner: tuple[float, float]
    flip: bool = False
    angle: float = 0.0
    resampling: Literal["warp", "bilinear", "antialiased", "bicubic", "area"] = "warp"


def crop_image(image: np.ndarray | Part, view: View, fill: Fill = (0, 0, 0)) -> np.ndarray:
    """Crop a uint8 (H, W, C) image; pixels outside the source get `fill`, which has C values.

    Of a part, all pixels within `reach` have to be there.
    """
    if image.shape[2] != 3:
        # OpenCV fills at most four channels, and Pillow treats four as RGBA.
        if isinstance(image, Part):
            planes = image.planes()
        else:
            planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(image, 2, 0)]
        return np.stack([_crop_pixels(plane, view, (value,)) for plane, value in zip(planes, fill, strict=True)], 2)
    return _crop_pixels(image, view, fill)


def crop_labels(labels: np.ndarray | Part, view: View, turned_in: int = IGNORE) -> np.ndarray:
    """Crop (H, W) labels by nearest neighbour; pixels outside the source are ignored.

    Args:
        labels: uint8 class ids with 255 = ignored, or int32 bit fields with `IGNORE_BIT` = ignored; of a part, all
            pixels within `reach` have to be there.
        view: Geometry of the crop.
        turned_in: Label of the corners that a rotation uncovers, unless `view.resampling` is `warp`.
    """
    void = void_of(labels)
    if view.resampling == "warp":
        return _warp(labels, view, cv2.INTER_NEAREST, (void,))
    return _paste(labels, view, cv2.INTER_NEAREST, (void,), (void if turned_in == IGNORE else turned_in,))


def reach(view: View, source: Size) -> Window:
    """The rectangle, at least one pixel, of a source (height, width) outside which a crop reads no pixel."""
    if view.resampling == "warp":
        return _reached(_matrix(view, source), view.size, source)
    part = content(view._replace(flip=False), source)
    if any(side.start >= side.stop for side in part):
        return Window(0, 0, 1, 1)
    if _is_averaged(view):
        origin, end = (0, 0), source
    else:
        origin, end, _, _ = _needed(view, part, source)
    if not view.angle:
        return Window(*origin, *end)
    matrix = _rotation(source, view.angle)
    matrix[:, 2] += matrix[:, :2] @ (origin[1], origin[0])
    return _reached(matrix, (end[0] - origin[0], end[1] - origin[1]), source)


def void_of(labels: np.ndarray | Part) -> int:
    """The value of ignored pixels: 255 in uint8 class ids, `IGNORE_BIT` in int32 bit fields."""
    return IGNORE if labels.dtype == np.uint8 else IGNORE_BIT


def content(view: View, source: Size) -> Content:
    """Rows and columns of the crop whose pixel centres lie in the (rotated) source."""
    rows, columns = (
        slice(
            max(0, math.ceil(-corner - 0.5)),
            max(0, min(wanted, math.ceil(length * factor - corner - 0.5))),
        )
        for length, factor, wanted, corner in zip(source, view.scale, view.size, view.corner, strict=True)
    )
    if view.flip:
        columns = slice(view.size[1] - columns.stop, view.size[1] - columns.start)
    return rows, columns


def _crop_pixels(image: np.ndarray | Part, view: View, fill: Fill) -> np.ndarray:
    """Crop uint8 (H, W, 3) or (H, W) like `crop_image`."""
    if view.resampling == "warp":
        return _warp(image, view, cv2.INTER_LINEAR, fill)
    return _paste(image, view, cv2.INTER_LINEAR, fill, fill)


def _warp(source: np.ndarray | Part, view: View, interpolation: int, fill: tuple[int, ...]) -> np.ndarray:
    matrix = _matrix(view, (source.shape[0], source.shape[1]))
    return warp_affine(source, matrix, view.size, interpolation, fill)


def _matrix(view: View, source: Size) -> np.ndarray:
    """The affine transform (2, 3) from a warped crop to its source (height, width)."""
    width = view.size[1]
    (scale_y, scale_x), (top, left) = view.scale, view.corner
    # Output pixel centre (x + 0.5) lies at (x + 0.5 + left) / scale_x in the source.
    matrix = np.array(
        [
            [1 / scale_x, 0, (0.5 + left) / scale_x - 0.5],
            [0, 1 / scale_y, (0.5 + top) / scale_y - 0.5],
        ]
    )
    if view.flip:
        matrix[0, 2] += matrix[0, 0] * (width - 1)
        matrix[0, 0] = -matrix[0, 0]
    if view.angle:
        matrix = _rotation(source, view.angle) @ np.vstack([matrix, [0, 0, 1]])
    return matrix


def warp_affine(
    source: np.ndarray | Part, matrix: np.ndarray, size: Size, interpolation: int, fill: tuple[int, ...] | None
) -> np.ndarray:
    """OpenCV's warpAffine with `matrix` from the result to the source, two to three times faster for RGB.

    Bit fields (int32) are warped as four bytes, because OpenCV rounds positions differently for int32 and uint8, and
    labels have to stay aligned with their image.

    Args:
        source: uint8 (H, W) or (H, W, 3); any integer type for nearest neighbour. A part gives the result of the whole:
            exactly where OpenCV can address the whole, else within its rounding of positions.
        matrix: Affine transform, (2, 3).
        size: (height, width) of the result.
        interpolation: OpenCV's flag, such as `cv2.INTER_LINEAR`.
        fill: Value of pixels outside the source; None repeats the border of the source.
    """
    if isinstance(source, Part):
        return _warp_part(source, matrix, size, interpolation, fill)
    if source.dtype == np.int32:
        planes = np.ascontiguousarray(source).view(np.uint8).reshape(*source.shape, 4)
        value = tuple(np.array(fill, np.int32).view(np.uint8).tolist())
        return warp_affine(planes, matrix, size, interpolation, value).view(np.int32)[..., 0]
    facts = {
        "dsize": (size[1], size[0]),
        "flags": interpolation | cv2.WARP_INVERSE_MAP,
        "borderMode": cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT,
        "borderValue": fill or (),
    }
    if source.ndim == 2 or interpolation == cv2.INTER_NEAREST:
        return cv2.warpAffine(source, matrix, **facts)
    # OpenCV's vector code is faster for four channels than for three; the result per channel is the same.
    read = _reached(matrix, size, (source.shape[0], source.shape[1]))
    four = np.empty((*source.shape[:2], 4), np.uint8)
    cv2.cvtColor(source[read.top : read.bottom], cv2.COLOR_RGB2RGBA, dst=four[read.top : read.bottom])
    return cv2.cvtColor(cv2.warpAffine(four, matrix, **facts), cv2.COLOR_RGBA2RGB)


def _warp_part(
    source: Part, matrix: np.ndarray, size: Size, interpolation: int, fill: tuple[int, ...] | None
) -> np.ndarray:
    """Warp a part as `warp_affine` warps the whole."""
    if source.ndim == 3 and interpolation != cv2.INTER_NEAREST:
        source = source._replace(values=cv2.cvtColor(np.ascontiguousarray(source.values), cv2.COLOR_RGB2RGBA))
        fill = None if fill is None else (*fill, 255)
    spread = source.spread()
    if spread is None:
        spread, matrix = np.ascontiguousarray(source.values), matrix.copy()
        matrix[:, 2] -= (source.left, source.top)
    if source.ndim == 2:
        return warp_affine(spread, matrix, size, interpolation, fill)
    border = cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
    flags = interpolation | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(spread, matrix, (size[1], size[0]), flags=flags, borderMode=border, borderValue=fill or ())
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if warped.shape[2] == 4 else warped


def _reached(matrix: np.ndarray, size: Size, source: Size) -> Window:
    """The rows and columns of a source (height, width) that a warp to `size` reads; at least one of each."""
    corners = np.array([[0, 0, 1], [size[1] - 1, 0, 1], [0, size[0] - 1, 1], [size[1] - 1, size[0] - 1, 1]])
    first, last = [], []
    for axis in (1, 0):
        places, length = corners @ matrix[axis], source[1 - axis]
        # Two more on each side: for the neighbour that is blended in, and for rounding.
        first.append(min(max(0, math.floor(places.min()) - 2), length - 1))
        last.append(max(first[-1] + 1, min(length, math.ceil(places.max()) + 3)))
    return Window(*first, *last)


def _rotation(source: Size, angle: float) -> np.ndarray:
    """(2, 3) matrix from pixels of the rotated source (height, width) to pixels of the source."""
    height, width = source
    return cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1.0)


def _paste(
    source: np.ndarray | Part, view: View, interpolation: int, fill: tuple[int, ...], turned_in: tuple[int, ...]
) -> np.ndarray:
    """The crop that resizing to whole pixels, padding and cropping would give."""
    shape = (*view.size, *source.shape[2:])
    crop = np.full(shape, fill if source.ndim == 3 else fill[0], source.dtype)
    rows, columns = content(view._replace(flip=False), (source.shape[0], source.shape[1]))
    crop[rows, columns] = _resized_part(source, view, (rows, columns), interpolation, turned_in)
    return np.ascontiguousarray(crop[:, ::-1]) if view.flip else crop


def _is_averaged(view: View) -> bool:
    """Whether images are shrunk by averages of areas, for which all of the source is needed."""
    return view.resampling == "area" and min(view.scale) < 1


def _needed(view: View, part: Content, source: Size) -> tuple[Size, Size, list[float], list[float]]:
    """What `part` of an unflipped crop is resized from.

    Returns:
        First row and column, and the row and column after the last ones, of the rotated source; and the top and left,
        and bottom and right, of the part itself within these.
    """
    first, last, origin, end = [], [], [], []
    wide = 2.0 if view.resampling == "bicubic" else 1.0
    for axis in (0, 1):
        factor = view.scale[axis]
        start, stop = ((side + view.corner[axis]) / factor for side in (part[axis].start, part[axis].stop))
        # Pixels outside the part that the filter still reaches; it widens when the image shrinks.
        margin = math.ceil(wide * max(1.0, 1 / factor)) + 1
        low = max(0, math.floor(start) - margin)
        high = min(source[axis], math.ceil(stop) + margin)
        first.append(start - low)
        last.append(min(stop - low, high - low))
        origin.append(low)
        end.append(high)
    return (origin[0], origin[1]), (end[0], end[1]), first, last


def _resized_part(
    source: np.ndarray | Part, view: View, part: Content, interpolation: int, turned_in: tuple[int, ...]
) -> np.ndarray:
    """The part of the zoomed source that fills `part` of the unflipped crop."""
    if interpolation != cv2.INTER_NEAREST and _is_averaged(view):
        return _averaged_part(source, view, part, turned_in)
    origin, end, first, last = _needed(view, part, (source.shape[0], source.shape[1]))
    window = _window(source, origin, end, view.angle, interpolation, turned_in)
    if view.scale == (1.0, 1.0):
        return window[round(first[0]) : round(last[0]), round(first[1]) : round(last[1])]
    height, width = part[0].stop - part[0].start, part[1].stop - part[1].start
    if interpolation == cv2.INTER_NEAREST:
        # The pixel that contains the centre; warpAffine would break the ties of whole factors the other way.
        rows, columns = (
            np.minimum((np.arange(count) + 0.5) / factor + low + 1e-9, side - 1).astype(np.intp)
            for count, factor, low, side in zip((height, width), view.scale, first, window.shape, strict=True)
        )
        return window.take(rows, axis=0).take(columns, axis=1)
    if view.resampling in PILLOW_FILTERS:
        box = (first[1], first[0], last[1], last[0])
        resizable = Image.fromarray(np.ascontiguousarray(window))
        return np.asarray(resizable.resize((width, height), PILLOW_FILTERS[view.resampling], box=box))
    (scale_y, scale_x), (top, left) = view.scale, first
    matrix = np.array(
        [
            [1 / scale_x, 0, left + 0.5 / scale_x - 0.5],
            [0, 1 / scale_y, top + 0.5 / scale_y - 0.5],
        ]
    )
    return warp_affine(window, matrix, (height, width), cv2.INTER_LINEAR, None)


def _averaged_part(source: np.ndarray | Part, view: View, part: Content, turned_in: tuple[int, ...]) -> np.ndarray:
    """Resize like `_resized_part`, by OpenCV's INTER_AREA.

    The whole source is resized: OpenCV averages whole arrays only, and a part may begin within a pixel of the source.
    """
    height, width = (round(length * factor) for length, factor in zip(source.shape, view.scale, strict=False))
    turned = _window(source, (0, 0), (source.shape[0], source.shape[1]), view.angle, cv2.INTER_LINEAR, turned_in)
    resized = cv2.resize(turned, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = (
        slice(side.start + round(corner), side.stop + round(corner))
        for side, corner in zip(part, view.corner, strict=True)
    )
    return resized[rows, columns]


def _window(
    source: np.ndarray | Part, start: Size, stop: Size, angle: float, interpolation: int, turned_in: tuple[int, ...]
) -> np.ndarray:
    """Rows and columns `start` to `stop` of the rotated source."""
    if not angle:
        return source.cut(start, stop) if isinstance(source, Part) else source[start[0] : stop[0], start[1] : stop[1]]
    matrix = _rotation((source.shape[0], source.shape[1]), angle)
    matrix[:, 2] += matrix[:, :2] @ (start[1], start[0])
    return warp_affine(source, matrix, (stop[0] - start[0], stop[1] - start[1]), interpolation, turned_in)
