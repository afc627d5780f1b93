"""Random geometric and colour augmentation of training pairs, on uint8 images.

Rotation, zoom, change of aspect ratio, crop, flip and padding are one step, so every pixel is interpolated once (twice
if it is rotated) and only the pixels of the crop are computed.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import cv2
import numpy as np

from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.schema.recipe import Augment
from pixelwise.recipes.sizes import Size
from pixelwise.transforms.cropping import Content, Fill, View, content, crop_image, crop_labels, reach, void_of
from pixelwise.transforms.parts import LabelParts, Part, Parts
from pixelwise.transforms.photometric import changes_pixels, distort
from pixelwise.transforms.resizing import resize_image, resize_labels

CROP_DRAWS = 10
"""Number of crop positions tried for `max_class_share`, as in mmseg."""


class _Pair(NamedTuple):
    """A pair, and its rows and columns that are not padding."""

    image: np.ndarray
    labels: np.ndarray
    content: Content


def fixed_resize(image: np.ndarray, labels: np.ndarray, augment: Augment) -> tuple[np.ndarray, np.ndarray]:
    """Apply `augment.resize`, the deterministic part, whose result can be cached."""
    if augment.resize is None:
        return image, labels
    return resize_image(image, augment.resize), resize_labels(labels, augment.resize)


def fill_color(augment: Augment, mean: tuple[float, ...]) -> Fill:
    """The uint8 colour of padding; `mean` is the network's input mean, one value in 0..1 per channel."""
    if augment.fill == "black":
        return (0,) * len(mean)
    return tuple(math.floor(255 * channel + 0.5) for channel in mean)


def random_pair(
    image: np.ndarray | Parts,
    labels: np.ndarray | LabelParts,
    augment: Augment,
    random: np.random.Generator,
    fill: Fill,
) -> tuple[np.ndarray, np.ndarray]:
    """Apply everything in `augment` that acts on a single uint8 pair after the fixed resize.

    Args:
        image: uint8 (H, W, C); not modified. Of an image that is read by parts, only what the crop shows is read.
        labels: uint8 (H, W) class ids or 255, or int32 (H, W) bit fields; not modified.
        augment: Augmentation section of a recipe; with `crop` for an image that is read by parts.
        random: Random generator to draw from; equal generators give equal results, whether an image is read by parts or
            not.
        fill: Colour of the padding; see `fill_color`.

    Returns:
        Image and labels of size `augment.crop` if that is set, else of the input's size.
    """
    image, labels, inside = _draw_pair(image, labels, augment, random, fill)
    if not changes_pixels(augment):
        return image, labels
    if augment.fill == "black":
        return distort(image, augment, random), labels
    # Padding in the mean colour stays unchanged. A new array, because without a crop `image` may be the cached one.
    distorted = np.full_like(image, fill)
    distorted[inside] = distort(np.ascontiguousarray(image[inside]), augment, random)
    return distorted, labels


def random_geometry(
    image: np.ndarray,
    labels: np.ndarray,
    augment: Augment,
    random: np.random.Generator,
    fill: Fill = (0, 0, 0),
) -> tuple[np.ndarray, np.ndarray]:
    """Rotate, zoom, stretch, crop, flip and translate as drawn from `random`; see `random_pair`."""
    image, labels, _ = _draw_pair(image, labels, augment, random, fill)
    return image, labels


def _draw_pair(
    image: np.ndarray | Parts,
    labels: np.ndarray | LabelParts,
    augment: Augment,
    random: np.random.Generator,
    fill: Fill,
) -> _Pair:
    flip = random.random() < augment.flip
    if augment.crop is None:
        if not isinstance(image, np.ndarray) or not isinstance(labels, np.ndarray):
            raise ValueError("an image that is read by parts can only be cropped")
        if flip:
            image, labels = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])
        pair = _Pair(image, labels, (slice(0, labels.shape[0]), slice(0, labels.shape[1])))
    else:
        pair = _draw_crop(image, labels, augment, augment.crop, flip, random, fill)
    if augment.translate:
        down, right = (int(step) for step in random.integers(-augment.translate, augment.translate + 1, size=2))
        pair = _translate(pair, down, right, fill)
    return pair


def _draw_crop(
    image: np.ndarray | Parts,
    labels: np.ndarray | LabelParts,
    augment: Augment,
    crop: Size,
    flip: bool,
    random: np.random.Generator,
    fill: Fill,
) -> _Pair:
    size = labels.shape[0], labels.shape[1]
    scale = _draw_scale(augment, size, random)
    angle = 0.0
    if augment.rotate and random.random() < augment.rotate_probability:
        angle = random.uniform(-augment.rotate, augment.rotate)
    draws_left = 1 if augment.max_class_share is None else CROP_DRAWS
    while True:
        corner = _draw_corner(labels, augment, crop, scale, flip, random)
        view = View(crop, scale, corner, flip, angle, augment.resampling)
        cropped = crop_labels(_shown(labels, view), view, augment.rotate_label)
        draws_left -= 1
        if draws_left == 0 or _is_mixed(cropped, augment.max_class_share or 1.0):
            break
    return _Pair(crop_image(_shown(image, view), view, fill), cropped, content(view, size))


def _shown(source: np.ndarray | Parts, view: View) -> np.ndarray | Part:
    """What a crop shows of an image or of labels that are read by parts; others as they are."""
    if isinstance(source, np.ndarray):
        return source
    return source.part(reach(view, (source.shape[0], source.shape[1])))


def _draw_scale(augment: Augment, size: tuple[int, ...], random: np.random.Generator) -> tuple[float, float]:
    """Draw the factors from the pair's own height and width to the zoomed ones, before cropping."""
    zoom_y = zoom_x = 1.0
    if augment.scale_probability == 1 or random.random() < augment.scale_probability:
        zoom_y = zoom_x = draw_zoom(augment, random)
        if augment.scale_axes == "independent":
            zoom_x = draw_zoom(augment, random)
    stretch = float(np.exp(random.uniform(-1, 1) * np.log1p(augment.aspect) / 2))
    fit_y, fit_x = _fit(augment, size)
    scale = fit_y * zoom_y * stretch, fit_x * zoom_x / stretch
    if augment.resampling == "warp":
        return scale
    height, width = (max(1, math.floor(length * factor + 0.5)) for length, factor in zip(size, scale, strict=True))
    return height / size[0], width / size[1]


def draw_zoom(augment: Augment, random: np.random.Generator) -> float:
    """Draw a zoom factor within `augment.scale`, distributed by `augment.scale_law`."""
    low, high = augment.scale or (1.0, 1.0)
    if augment.scale_law == "uniform":
        return random.uniform(low, high)
    if augment.scale_law == "reciprocal":
        return 1 / random.uniform(1 / high, 1 / low)
    if augment.scale_law == "two-sided":
        return random.uniform(low, 1) if random.random() < 0.5 else random.uniform(1, high)
    if augment.scale_law == "steps":
        # A billionth exceeds the rounding error of dividing decimal fractions.
        return low + augment.scale_step * int(random.integers(math.floor((high - low) / augment.scale_step + 1e-9) + 1))
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def _fit(augment: Augment, size: tuple[int, ...]) -> tuple[float, float]:
    """Factors from the pair's own height and width to those to which the zoom is applied."""
    if augment.fit is None:
        return 1.0, 1.0
    if augment.fit_by == "stretch":
        return augment.fit[0] / size[0], augment.fit[1] / size[1]
    factor = min(augment.fit) / min(size)
    if augment.fit_by == "inside":
        factor = min(factor, max(augment.fit) / max(size))
    return factor, factor


def _draw_corner(
    labels: np.ndarray | LabelParts,
    augment: Augment,
    crop: Size,
    scale: tuple[float, float],
    flip: bool,
    random: np.random.Generator,
) -> tuple[float, float]:
    """Draw the top and left of the crop in the zoomed pair; negative where the pair is smaller."""
    target = None
    if random.random() < augment.class_crop:
        target = _draw_class_pixel(labels, random)
    # Without zoom the corner falls on a whole source pixel, so that no pixel is interpolated.
    whole = scale == (1.0, 1.0)
    corner = []
    for axis in (0, 1):
        zoomed = labels.shape[axis] * scale[axis]
        if augment.resampling != "warp":
            zoomed = round(zoomed)
        room = zoomed - crop[axis]
        if room < 0 and augment.pad != "random":
            # A flip mirrors the padding too, so it is placed on the other side first if it is to stay where it is.
            stays = flip and axis == 1 and augment.pad != "end-then-flip"
            before = math.floor(-room) // 2 if augment.pad == "center" else 0.0
            corner.append(room + before if stays else -float(before))
        elif target is not None:
            position = (target[axis] + 0.5) * scale[axis] - crop[axis] / 2
            position = min(max(position, min(0.0, room)), max(0.0, room))
            corner.append(float(round(position)) if whole or augment.resampling != "warp" else position)
        else:
            lengths = [zoomed, crop[axis]]
            if augment.fit is not None and augment.fit_by == "stretch" and crop[axis] < augment.fit[axis] < zoomed:
                lengths.insert(1, augment.fit[axis])
            corner.append(_draw_position(lengths, whole, augment.resampling == "warp", random))
    return corner[0], corner[1]


def _draw_position(lengths: list[float], whole: bool, subpixel: bool, random: np.random.Generator) -> float:
    """Draw where the last of `lengths` starts within the first, each placed at random within the one before it."""
    start = 0.0
    for outer, inner in itertools.pairwise(lengths):
        low, high = min(0.0, outer - inner), max(0.0, outer - inner)
        if subpixel:
            position = random.uniform(low, high)
            start += float(round(position)) if whole else position
        else:
            start += float(random.integers(round(low), round(high) + 1))
    return start


def _draw_class_pixel(labels: np.ndarray | LabelParts, random: np.random.Generator) -> tuple[int, int] | None:
    """Draw a pixel of a class drawn uniformly from those in `labels`; None if every pixel is ignored."""
    if not isinstance(labels, np.ndarray):
        counts = labels.counts()
        present = np.flatnonzero(counts[:IGNORE])
        if present.size == 0:
            return None
        chosen = random.choice(present)
        return labels.pixel(int(chosen), int(random.integers(int(counts[chosen]))))
    if labels.dtype != np.uint8:
        return _draw_bit_pixel(labels, random)
    # Ten times faster than np.bincount for uint8; a count is 0 only if the class is absent.
    present = np.flatnonzero(cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()[:IGNORE])
    if present.size == 0:
        return None
    places = np.flatnonzero(labels.ravel() == random.choice(present))
    position = places[random.integers(len(places))]
    row, column = divmod(int(position), labels.shape[1])
    return row, column


def _draw_bit_pixel(labels: np.ndarray, random: np.random.Generator) -> tuple[int, int] | None:
    """Draw a pixel like `_draw_class_pixel`, from int32 bit fields."""
    bits = int(np.bitwise_or.reduce(labels, axis=None)) & (IGNORE_BIT - 1)
    present = [bit for bit in range(bits.bit_length()) if bits >> bit & 1]
    if not present:
        return None
    positions = np.flatnonzero(labels.ravel() & (1 << int(random.choice(present))))
    row, column = divmod(int(positions[random.integers(len(positions))]), labels.shape[1])
    return row, column


def _is_mixed(labels: np.ndarray, share: float) -> bool:
    """Whether at least two classes are labelled and none reaches `share` of the labelled pixels."""
    # Ten times faster than np.bincount for uint8; the counts of a crop are exact in float32.
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()[:IGNORE]
    return int(np.count_nonzero(counts)) > 1 and float(counts.max() / counts.sum()) < share


def _translate(pair: _Pair, down: int, right: int, fill: Fill) -> _Pair:
    """The pair shifted by whole pixels; uncovered pixels get `fill` and are ignored."""
    image, labels = np.full_like(pair.image, fill), np.full_like(pair.labels, void_of(pair.labels))
    target, source, inside = [], [], []
    for length, step, part in zip(labels.shape, (down, right), pair.content, strict=True):
        target.append(slice(min(length, max(0, step)), max(0, min(length, length + step))))
        source.append(slice(min(length, max(0, -step)), max(0, min(length, length - step))))
        inside.append(slice(max(0, part.start + step), max(0, min(length, part.stop + step))))
    image[tuple(target)], labels[tuple(target)] = pair.image[tuple(source)], pair.labels[tuple(source)]
    return _Pair(image, labels, (inside[0], inside[1]))
