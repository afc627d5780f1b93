"""Files -> arrays: images as uint8 RGB, masks as class ids.

Everything here is a function of the file and the options alone, so it may run in any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from PIL import ExifTags, Image, ImageOps

from pixelwise.datasets.bands import (
    ARRAY_SUFFIX,
    array_without_channels,
    bands_error,
    not_a_picture,
    read_array_mask,
    read_bands,
)
from pixelwise.datasets.decoding import Decoded, decode
from pixelwise.datasets.diagnosis import (
    describe_counts,
    describe_ids,
    explain_colors_without_table,
    explain_lossy,
    explain_unknown_colors,
    explain_unknown_ids,
)
from pixelwise.datasets.fitting import fit_labels, rotation_error
from pixelwise.datasets.labels import LabelTable, color_codes, count_values, presence
from pixelwise.datasets.plain_png import read_plain_png
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.classes import IGNORE_BIT
from pixelwise.storage import printable

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
# Pillow stretches grey values of 2 and 4 bits to 0..255: right for an image, wrong for ids.
_GREY_STEP = {"L;2": 85, "L;4": 17}


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is worth knowing about a decoded image besides its pixels.

    Attributes:
        format: By content: `JPEG`, `PNG`, `WEBP`, `TIFF`, `BMP` or `GIF`.
        stored_size: (height, width) before the EXIF orientation is applied.
        orientation: EXIF orientation, 1 (upright) to 8.
        transparent: Whether any pixel is not opaque.
        animated: Whether there are more frames than the first, which is the one used.
    """

    format: str
    stored_size: tuple[int, int]
    orientation: int = 1
    transparent: bool = False
    animated: bool = False


class RawMask(NamedTuple):
    """A decoded mask before its values mean anything.

    Attributes:
        values: (H, W) integers, or uint8 (H, W, 3) colours.
        palette: uint8 (n, 3) colours of the ids, for palette images.
        encoding: In words, such as `palette PNG`.
        lossless: Whether the file format keeps every value exactly.
        grey_rgb: Whether the file is an RGB picture of which every pixel is grey; `values` are these greys.
    """

    values: np.ndarray
    palette: np.ndarray | None
    encoding: str
    lossless: bool
    grey_rgb: bool = False


class Translation(NamedTuple):
    """A mask in class ids, and what could not be translated.

    Attributes:
        labels: uint8 (H, W) class ids with 255 = ignored.
        unknown_ids: Raw value -> pixels, where the label table does not name it.
        unknown_colors: `0xrrggbb` -> pixels, likewise.
    """

    labels: np.ndarray
    unknown_ids: dict[int, int]
    unknown_colors: dict[int, int]


class ClassLabels(NamedTuple):
    """The masks of all classes of one image, read.

    Attributes:
        labels: int32 (H, W), bit k is class k, `IGNORE_BIT` alone where ignored; None where a mask is wrong.
        errors: What is wrong, with the file.
        encoding: Of the first mask, as in `RawMask`.
    """

    labels: np.ndarray | None
    errors: list[tuple[Path, DataError]]
    encoding: str


def read_image(path: Path, reading: Reading) -> np.ndarray:
    """The image as uint8 (H, W, 3) RGB, upright unless `reading.exif` is `ignore`.

    With `reading.channels` it is uint8 (H, W, C) of these channels; see `pixelwise.datasets.bands`.

    Raises:
        DataError: D101 truncated or damaged, D102 not an image, D104 more than 8 bits per channel
            and no `input_range`, D105 bands that need `channels`, D106 it lacks a channel, D120 too many
            pixels, D131 not readable.
    """
    return load_image(path, reading)[0]


def load_image(path: Path, reading: Reading) -> tuple[np.ndarray, ImageFacts]:
    """As `read_image`, together with facts about the file."""
    if reading.channels is not None and _holds_bands(path):
        bands = read_bands(path, reading)
        kind = "NPY" if path.suffix.lower() == ARRAY_SUFFIX else "TIFF"
        return bands, ImageFacts(format=kind, stored_size=bands.shape[:2])
    if path.suffix.lower() == ARRAY_SUFFIX:
        raise array_without_channels(path, reading.max_pixels)
    plain = read_plain_png(path, max_pixels=reading.max_pixels)
    if plain is not None:
        pixels = plain if reading.channels is None else _choose_channels(plain, path, reading.channels)
        return pixels, ImageFacts(format="PNG", stored_size=plain.shape[:2])
    decoded = decode(path, max_pixels=reading.max_pixels)
    image = decoded.image
    _check_further_bands(decoded, path)
    stored_size = (image.height, image.width)
    orientation = _orientation(image)
    if orientation != 1 and reading.exif == "apply":
        image = ImageOps.exif_transpose(image)
    transparent = False
    if image.mode in _DEEP_MODES:
        pixels = _stretch(np.asarray(image), path, reading)
    else:
        _check_deep_color(decoded, path, reading)
        pixels, transparent = _to_rgb(image, reading)
    if reading.channels is not None:
        pixels = _choose_channels(pixels, path, reading.channels)
    facts = ImageFacts(
        format=decoded.format,
        stored_size=stored_size,
        orientation=orientation,
        transparent=transparent,
        animated=decoded.animated,
    )
    return pixels, facts


def read_labels(sample: Sample, dataset: Dataset, size: tuple[int, int] | None = None) -> np.ndarray:
    """The mask of `sample` as uint8 (H, W) class ids with 255 = ignored; of multi-label data int32 bit fields.

    Args:
        sample: Of `dataset`.
        dataset: Gives the label table and the reading options.
        size: (height, width) the labels must have, the image's; None takes any. A mask of another
            size is an error, or is resized by nearest neighbour where `mask_resize` allows it.

    Raises:
        DataError: D201 wrong size, D202 unknown ids, D203 colours outside the table or a lossy
            format, D205 an RGB mask without a colour table, D220 no mask; those of `read_image`.
    """
    if sample.mask_path is None:
        raise DataError(
            "D220", f"{printable(sample.image_path)}: the image has no mask", "add the mask, or leave the image out"
        )
    if dataset.multilabel:
        return _sound(read_class_masks(sample, dataset, size))
    raw = load_mask(sample.mask_path, dataset.label_table, max_pixels=dataset.reading.max_pixels)
    translation = translate(raw, dataset.label_table)
    error = mask_error(sample.mask_path, raw, translation, dataset)
    if error is not None:
        raise error
    return fit_labels(translation.labels, size, sample.mask_path, dataset.reading)


def read_pair(sample: Sample, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of equal size: uint8 (H, W, 3) and uint8 (H, W), or int32 of multi-label data.

    Raises:
        DataError: D110, the mask fits the image only without (or with) its EXIF rotation; those of
            `read_image` and `read_labels`.
    """
    image, facts = load_image(sample.image_path, dataset.reading)
    if dataset.multilabel and sample.mask_path is not None:
        return image, _sound(read_class_masks(sample, dataset, (image.shape[0], image.shape[1]), facts))
    labels = read_labels(sample, dataset)
    error = rotation_error(sample, image.shape[:2], labels.shape, facts.orientation, dataset.reading)
    if error is not None:
        raise error
    return image, fit_labels(labels, image.shape[:2], sample.mask_path, dataset.reading)


def read_class_masks(
    sample: Sample, dataset: Dataset, size: tuple[int, int] | None, facts: ImageFacts | None = None
) -> ClassLabels:
    """The masks of multi-label data as one bit field; what is wrong with them is collected.

    Args:
        sample: Of `dataset`. A class without a mask is absent.
        dataset: Gives the reading options.
        size: (height, width) of the image; None takes that of the first mask.
        facts: Of the image, where it was read: its rotation explains sizes that differ.
    """
    errors: list[tuple[Path, DataError]] = []
    labels, ignored, encoding = None if size is None else np.zeros(size, np.int32), None, ""
    for bit, path in enumerate((*sample.class_masks, sample.ignore_mask)):
        if path is None:
            continue
        try:
            raw = load_mask(path, dataset.label_table, max_pixels=dataset.reading.max_pixels)
            encoding = encoding or raw.encoding
            present = _presence(path, raw, dataset.label_table.threshold)
            labels = np.zeros(present.shape, np.int32) if labels is None else labels
            named = msgspec.structs.replace(sample, mask_path=path)
            if facts is not None and (
                error := rotation_error(named, labels.shape, present.shape, facts.orientation, dataset.reading)
            ):
                raise error
            present = fit_labels(present, labels.shape, path, dataset.reading)
        except DataError as error:
            errors.append((path, error))
            continue
        if bit == len(sample.class_masks):
            ignored = present
        else:
            np.bitwise_or(labels, 1 << bit, out=labels, where=present)
    if labels is not None and ignored is not None:
        labels[ignored] = IGNORE_BIT
    return ClassLabels(None if errors else labels, errors, encoding)


def _sound(found: ClassLabels) -> np.ndarray:
    """The labels.

    Raises:
        DataError: The first error of a mask.
    """
    if found.labels is None:
        raise found.errors[0][1]
    return found.labels


def _presence(path: Path, raw: RawMask, threshold: int | None) -> np.ndarray:
    """Where the mask of one class is not black: bool (H, W).

    Raises:
        DataError: D202 more than two values, D203 a lossy format, D205 colours.
    """
    where, help = printable(path), "export it as PNG of 0 and 255, or say what counts: data.mask_threshold=128"
    if threshold is None and not raw.lossless:
        raise DataError(
            "D203", f"{where}: the mask is a {raw.encoding} file, whose compression blurs black and white", help
        )
    if raw.values.ndim == 3:
        raise DataError("D205", f"{where}: the mask of one class is an RGB image; expected black and white", help)
    present, unknown = presence(raw.values, threshold)
    if unknown:
        raise DataError(
            "D202",
            f"{where}: mask contains {describe_counts(unknown)}; the mask of one class holds 0 and 255, or 0 and 1",
            help,
        )
    return present


def load_mask(path: Path, table: LabelTable, *, max_pixels: int) -> RawMask:
    """Decode a mask without interpreting its values.

    Palette images give their indices, unless `table` knows colours only; 1-bit images give 0 and
    1; an RGB image whose three channels are equal everywhere counts as one channel.

    Raises:
        DataError: D205 for floating-point masks and arrays that are no (H, W) integers; D101, D102, D120,
            D131 as `read_image`.
    """
    if path.suffix.lower() == ARRAY_SUFFIX:
        array = read_array_mask(path, max_pixels)
        return RawMask(array, None, f"{8 * array.dtype.itemsize}-bit NPY", True)
    decoded = decode(path, max_pixels=max_pixels)
    image = decoded.image
    by_color = bool(table.colors) and not table.ids
    palette, grey_rgb = None, False
    if table.threshold is not None and image.mode not in _DEEP_MODES:
        values, kind = np.array(image.convert("RGBA").convert("L")), "black and white"
    elif image.mode == "P" and not by_color:
        palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        values, kind = np.array(image), "palette"
    elif image.mode == "1" and not by_color:
        values, kind = np.array(image).astype(np.uint8), "1-bit"
    elif image.mode in ("L", "LA") and not by_color:
        values = np.array(image.getchannel("L")) // np.uint8(_GREY_STEP.get(decoded.raw_mode, 1))
        kind = f"{decoded.raw_mode[-1]}-bit" if decoded.raw_mode in _GREY_STEP else "8-bit"
    elif image.mode in _DEEP_MODES and image.mode != "F":
        values = np.asarray(image)
        values, kind = values.astype(np.uint16 if values.dtype.itemsize == 2 else np.int32), "16-bit"
    elif image.mode == "F":
        raise DataError(
            "D205",
            f"{printable(path)}: the mask holds floating-point numbers; expected class ids",
            "export it as 8-bit PNG",
        )
    else:
        values, kind = np.array(image.convert("RGBA").convert("RGB")), "RGB"
        if not by_color and _is_grey(values):
            values, kind, grey_rgb = np.ascontiguousarray(values[..., 0]), "grey RGB", True
    return RawMask(values, palette, f"{kind} {decoded.format}", decoded.lossless, grey_rgb)


def translate(raw: RawMask, table: LabelTable) -> Translation:
    """Class ids of a decoded mask. RGB masks without a colour table give all-ignored labels."""
    if raw.values.ndim == 2:
        labels, unknown = table.map_ids(raw.values)
        return Translation(labels, unknown, {})
    labels, unknown = table.map_colors(raw.values) if table.colors else _nothing_known(raw.values)
    return Translation(labels, {}, unknown)


def mask_error(path: Path, raw: RawMask, translation: Translation, dataset: Dataset) -> DataError | None:
    """What is wrong with the values of a mask: D202, D203, D205, or None."""
    where, table = printable(path), dataset.label_table
    if not raw.lossless and table.threshold is None:
        total = raw.values.shape[0] * raw.values.shape[1]
        unknown = sum(translation.unknown_ids.values()) + sum(translation.unknown_colors.values())
        return DataError(
            "D203",
            f"{where}: the mask is stored as {raw.encoding}, whose compression changes class ids at every edge; "
            f"{100 * unknown / total:.3g} % of the pixels have no meaning",
            explain_lossy(count_values(raw.values) if raw.values.ndim == 2 else {}),
        )
    if translation.unknown_ids:
        seen = count_values(raw.values)
        return DataError(
            "D202",
            f"{where}: mask contains {describe_counts(translation.unknown_ids)}; expected {describe_ids(table.ids)}",
            explain_unknown_ids(translation.unknown_ids, seen, len(dataset.classes)),
        )
    if translation.unknown_colors and not table.colors:
        colors = translation.unknown_colors
        clause, help = explain_colors_without_table(colors)
        height, width = raw.values.shape[:2]
        return DataError(
            "D205",
            f"{where}: the mask is an RGB image ({height}x{width}x3) with {len(colors)} colours; expected one channel "
            f"of class ids, or a colour table; {clause}",
            help,
        )
    if translation.unknown_colors:
        num_colors = len(count_values(color_codes(raw.values)))
        clause, help = explain_unknown_colors(translation.unknown_colors, translation.labels.size, num_colors)
        return DataError("D203", f"{where}: {clause}", help)
    return None


def _orientation(image: Image.Image) -> int:
    # A damaged EXIF block says nothing about the pixels: the image is then taken as it is.
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image, reading: Reading) -> tuple[np.ndarray, bool]:
    """uint8 (H, W, 3) of a mode with 8 bits per channel, and whether any pixel is not opaque."""
    if not image.has_transparency_data:
        return np.array(image if image.mode == "RGB" else image.convert("RGB")), False
    rgba = np.array(image.convert("RGBA"))
    alpha = rgba[..., 3]
    if reading.alpha == "drop" or alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3]), bool(alpha.min() < 255)
    blended = (rgba[..., :3].astype(np.uint16) * alpha[..., None] + 127) // 255
    return blended.astype(np.uint8), True


def _holds_bands(path: Path) -> bool:
    """Whether a file is read band by band: by its name for arrays, by its first bytes for TIFF."""
    if path.suffix.lower() == ARRAY_SUFFIX:
        return True
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as stream:
            return stream.read(4) in _TIFF
    except OSError:
        return False


def _choose_channels(rgb: np.ndarray, path: Path, channels: tuple[int, ...]) -> np.ndarray:
    """Channels of a picture that has three.

    Raises:
        DataError: D106, it has no such channel.
    """
    if max(channels) >= rgb.shape[2]:
        raise DataError(
            "D106",
            f"{printable(path)}: the image has 3 channels (0..2); data.channels asks for {list(channels)}",
            "images with more bands are TIFF files or NumPy arrays (.npy)",
        )
    return np.ascontiguousarray(rgb[..., list(channels)])


def _stretch(values: np.ndarray, path: Path, reading: Reading) -> np.ndarray:
    """(H, W) of more than 8 bits -> uint8 (H, W, 3), by the user's `input_range`."""
    if reading.input_range is None:
        # Finite values only: a float TIFF marks holes with NaN.
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
        raise _deep_image(path, f"values {low:g}..{high:g}", "for example data.input_range=[0, 65535]")
    low, high = reading.input_range
    if not low < high:
        raise RecipeError("R203", f"data.input_range is [{low}, {high}]; expected low < high", "for example [0, 65535]")
    scaled = (np.nan_to_num(values.astype(np.float32), nan=low) - low) * (255 / (high - low))
    grey = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _check_deep_color(decoded: Decoded, path: Path, reading: Reading) -> None:
    """Pillow keeps the upper 8 of 16 bits of colour images: right for the full range only."""
    if "16" in decoded.raw_mode and reading.input_range != (0, 65535):
        raise _deep_image(
            path,
            "16 bits per colour channel",
            "data.input_range=[0, 65535] keeps the upper 8 bits; for another range convert the images to 8 bits",
        )


def _check_further_bands(decoded: Decoded, path: Path) -> None:
    """Pillow drops bands that are neither colour nor transparency, such as near infrared after red, green and blue."""
    if decoded.format != "TIFF":
        return
    tags = getattr(decoded.image, "tag_v2", {})
    further = tags.get(ExifTags.Base.ExtraSamples, ())
    if 0 in (further if isinstance(further, tuple) else (further,)):
        deep = np.uint16 if "16" in decoded.raw_mode else np.uint8
        raise not_a_picture(path, int(tags.get(ExifTags.Base.SamplesPerPixel, 1)), np.dtype(deep))
    if decoded.animated and (stacked := bands_error(path)) is not None:
        raise stacked


def _deep_image(path: Path, found: str, help: str) -> DataError:
    return DataError(
        "D104",
        f"{printable(path)}: the image has {found}; expected 8 bits per channel, and clipping would destroy it",
        f"say which values become 0 and 255: {help}",
    )


def _is_grey(rgb: np.ndarray) -> bool:
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())


def _nothing_known(rgb: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    codes = color_codes(rgb)
    return np.full(codes.shape, 255, np.uint8), count_values(codes)
