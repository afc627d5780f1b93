"""Examinations: what the audit learns about one image and its mask, and a cache of it."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.auditing.correspondence import Grids, grids_of
from pixelwise.datasets.auditing.near_duplicates import NO_SIGNATURE, Signature, signature_of
from pixelwise.datasets.fingerprint import SETTLED_SECONDS, HashCache, is_gone
from pixelwise.datasets.labels import color_codes, count_values
from pixelwise.datasets.reading.areas import MAX_VALUES, NO_AREAS, Areas, measure
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.reading.fitting import fit_labels, rotation_error
from pixelwise.datasets.reading.images import ImageFacts, load_image
from pixelwise.datasets.reading.masks import (
    RawMask,
    Translation,
    load_mask,
    mask_error,
    read_class_masks,
    translate,
)
from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.datasets.reading.regions.masks import KEPT_BYTES
from pixelwise.datasets.reading.regions.measuring import MaskMeasures, class_pixels, measure_image, measure_labels
from pixelwise.datasets.reading.regions.mosaics import is_mosaic
from pixelwise.datasets.reading.regions.pairs import is_in_parts
from pixelwise.datasets.reading.regions.sizes import sizes_error
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.cache_kinds import EXAMINED
from pixelwise.storage.parted import PartedCache
from pixelwise.storage.stores.members import state_of

NO_GRIDS = Grids()
_SAMPLE = 65536


@dataclass
class Examination:
    """Facts about one pair, collected by decoding its files.

    Attributes:
        split: The split of the sample.
        sample: The pair that was examined.
        errors: Errors, each with the file it concerns.
        image: Facts about the image; None if it could not be read.
        size: (height, width) of the image as read.
        digest: SHA-256 of the image file; empty if it could not be read.
        see_through: Whether the mask has transparent pixels, whose values or colours are read all the same.
        encoding: Storage format of the mask, such as `palette PNG`; empty if it could not be read.
        pixels: int64 (256,) number of pixels by class id (255 = ignored); None unless the pair is usable. Classes of
            multi-label data may overlap.
        raw_ids: Raw value -> number of pixels, for a mask with one channel.
        unknown_ids: The part of `raw_ids` that the label table does not name.
        unknown_colors: `0xrrggbb` -> number of pixels, for colours of an RGB mask that the label table does not name.
        colors: Raw value -> palette colour, for the values that occur in a palette mask.
        channel_means: Mean of each channel of the image, 0..255.
        channel_squares: Mean of the squared values of each channel.
        look: Perceptual signature of the image, for finding near-duplicates.
        shades: Number of different colours among up to 65536 pixels of the image, evenly spaced.
        areas: Where the values of the mask lie.
        lossy: Whether the mask is compressed with loss.
        grids: Edges of the image and borders of the labels; empty unless the pair is usable and compared.
    """

    split: str
    sample: Sample
    errors: list[tuple[Path, DataError]] = field(default_factory=list)
    image: ImageFacts | None = None
    size: tuple[int, int] = (0, 0)
    digest: str = ""
    encoding: str = ""
    see_through: bool = False
    pixels: np.ndarray | None = None
    raw_ids: dict[int, int] = field(default_factory=dict)
    unknown_ids: dict[int, int] = field(default_factory=dict)
    unknown_colors: dict[int, int] = field(default_factory=dict)
    colors: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    channel_means: tuple[float, ...] = (0.0, 0.0, 0.0)
    channel_squares: tuple[float, ...] = (0.0, 0.0, 0.0)
    look: Signature = NO_SIGNATURE
    shades: int = 0
    areas: Areas = NO_AREAS
    lossy: bool = False
    grids: Grids = NO_GRIDS

    @property
    def misnamed(self) -> bool:
        """Whether the image has a different format than its file name says."""
        promised = SUFFIXES.get(self.sample.image_path.suffix.lower())
        return self.image is not None and promised != self.image.format


def relative_name(path: Path, root: Path) -> str:
    """The path relative to the data set's folder, printable."""
    return printable(path.relative_to(root) if path.is_relative_to(root) else path)


def mask_name(examination: Examination, dataset: Dataset) -> str:
    """The mask of a pair, relative to the data set's folder; the image if there is no mask."""
    return relative_name(examination.sample.mask_path or examination.sample.image_path, dataset.root)


def examine(
    split: str, sample: Sample, dataset: Dataset, hashes: HashCache, *, fresh: bool = False, compared: bool = True
) -> Examination:
    """Decode and check one pair. Problems of the files are recorded, never raised.

    Args:
        split: The split of `sample`.
        sample: A pair of `dataset`.
        dataset: The data set, whose label table and reading options are used.
        hashes: Cache of the files' content hashes.
        fresh: Compute the hashes again and compare them with the cached ones.
        compared: Keep the grids by which mask and image are compared.
    """
    pixels = np.zeros((0, 0, 3), np.uint8)
    result = Examination(split, sample)
    for path in (sample.image_path, *sample.mask_files):
        # An unreadable file is reported when it is decoded below.
        try:
            digest = hashes.digest(path, fresh=fresh) if path.is_file() else ""
        except OSError:
            digest = ""
        result.digest = digest if path is sample.image_path else result.digest
    try:
        pixels, result.image = load_image(sample.image_path, dataset.reading)
        result.size = (pixels.shape[0], pixels.shape[1])
        _describe_image(result, pixels)
    except DataError as error:
        if error.code == "D120" and is_in_parts(sample.image_path, dataset.reading):
            _examine_in_parts(result, dataset)
            return result
        result.errors.append((sample.image_path, error))
    if dataset.multilabel:
        _examine_class_masks(result, dataset)
        return result
    mask_path = sample.mask_path
    if mask_path is None:
        return result
    try:
        reading = dataset.reading
        raw = load_mask(mask_path, dataset.label_table, max_pixels=reading.max_pixels, exif=reading.exif)
    except DataError as error:
        result.errors.append((mask_path, error))
        return result
    translation = translate(raw, dataset.label_table)
    _describe_mask(result, raw, translation)
    error = mask_error(mask_path, raw, translation, dataset.label_table, len(dataset.classes))
    if error is not None:
        result.errors.append((mask_path, error))
    if result.image is not None:
        labels = _compare_sizes(result, result.image, translation.labels, mask_path, dataset)
        if compared and labels is not None and not result.errors:
            result.grids = grids_of(pixels, labels)
    return result


def _examine_in_parts(result: Examination, dataset: Dataset) -> None:
    """Examine a pair that is too large to be decoded whole; its edges and borders are not compared."""
    sample, reading = result.sample, dataset.reading
    try:
        with ImageRegions(sample.image_path, reading, KEPT_BYTES) as image:
            found = measure_image(image, _SAMPLE)
            result.size = image.size
            result.image = ImageFacts(
                format="VRT" if is_mosaic(sample.image_path) else "TIFF",
                orientation=image.orientation,
                transparent=image.transparent,
                animated=image.animated,
                ranged=image.ranged,
            )
    except DataError as error:
        result.errors.append((sample.image_path, error))
    else:
        result.channel_means, result.channel_squares = found.means, found.squares
        result.shades = _shades(found.sample)
        _describe_look(result, found.sample)
    mask_path = sample.mask_path
    if mask_path is None:
        return
    try:
        measured = measure_labels(sample, dataset, None if result.image is None else result.size)
    except DataError as error:
        result.errors.append((mask_path, error))
        return
    result.encoding = measured.encoding
    if measured.mask is not None:
        _describe_values(result, measured.mask)
    result.errors += measured.errors
    if result.image is None:
        return
    orientation = result.image.orientation
    found = sizes_error(sample, result.size, measured.sizes, orientation, reading)
    if found is not None:
        turned = found[1].code == "D110" and orientation >= 5
        result.errors.append((sample.image_path, found[1]) if turned else found)
    if not result.errors:
        result.pixels = measured.pixels


def _describe_values(result: Examination, measured: MaskMeasures) -> None:
    first = measured.first
    result.lossy, result.areas = not first.lossless, measured.areas
    colored = first.values.ndim == 3
    result.unknown_ids = {} if colored else _most_frequent(measured.unknown)
    result.unknown_colors = _most_frequent(measured.unknown) if colored else {}
    if not colored:
        result.raw_ids = _most_frequent(measured.values)
        _describe_palette(result, first)


def _examine_class_masks(result: Examination, dataset: Dataset) -> None:
    """Examine a pair with one mask per class; where classes overlap, `pixels` sums to more than the image has."""
    sample = result.sample
    found = read_class_masks(sample, dataset, result.size if result.image is not None else None, result.image)
    result.encoding = f"{found.encoding}, one per class" if found.encoding else ""
    result.errors += [(sample.image_path if error.code == "D110" else path, error) for path, error in found.errors]
    if result.errors or found.labels is None:
        return
    result.pixels = class_pixels(found.labels)


def _describe_image(result: Examination, pixels: np.ndarray) -> None:
    # OpenCV measures at most four channels at once.
    parts = [pixels] if pixels.shape[2] <= 4 else [pixels[..., i] for i in range(pixels.shape[2])]
    measured = [cv2.meanStdDev(np.ascontiguousarray(part)) for part in parts]
    means, deviations = (np.concatenate([values[i].ravel() for values in measured]) for i in (0, 1))
    result.channel_means = tuple(means.tolist())
    result.channel_squares = tuple((means**2 + deviations**2).tolist())
    step = max(1, int(np.sqrt(pixels.shape[0] * pixels.shape[1] / _SAMPLE)))
    result.shades = _shades(pixels[::step, ::step])
    _describe_look(result, pixels)


def _describe_look(result: Examination, pixels: np.ndarray) -> None:
    # Images that are not RGB are compared by their first band.
    result.look = signature_of(pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., :1], 3, axis=-1))


def _shades(sample: np.ndarray) -> int:
    return len(np.unique(color_codes(sample) if sample.shape[2] == 3 else sample[..., 0]))


def _describe_mask(result: Examination, raw: RawMask, translation: Translation) -> None:
    result.encoding, result.lossy, result.see_through = raw.encoding, not raw.lossless, raw.transparent
    result.areas = measure(raw.values)
    result.unknown_ids = _most_frequent(translation.unknown_ids)
    result.unknown_colors = _most_frequent(translation.unknown_colors)
    if raw.values.ndim != 2:
        return
    result.raw_ids = _most_frequent(count_values(raw.values))
    _describe_palette(result, raw)


def _describe_palette(result: Examination, raw: RawMask) -> None:
    if raw.palette is not None:
        known = (raw_id for raw_id in result.raw_ids if raw_id < len(raw.palette))
        result.colors = {raw_id: tuple(raw.palette[raw_id].tolist()) for raw_id in known}


def _most_frequent(counts: dict[int, int]) -> dict[int, int]:
    return dict(itertools.islice(counts.items(), MAX_VALUES))


def _compare_sizes(
    result: Examination, facts: ImageFacts, labels: np.ndarray, mask_path: Path, dataset: Dataset
) -> np.ndarray | None:
    """The labels at the size of the image; None if they do not fit, which is recorded."""
    error = rotation_error(result.sample, result.size, labels.shape, facts.orientation, dataset.reading)
    if error is not None:
        # A photo with an EXIF orientation was turned, any other photo is as it was taken.
        result.errors.append((mask_path if facts.orientation < 5 else result.sample.image_path, error))
        return None
    try:
        labels = fit_labels(labels, result.size, mask_path, dataset.reading)
    except DataError as error:
        result.errors.append((mask_path, error))
        return None
    if not result.errors:
        result.pixels = np.bincount(labels.ravel(), minlength=256)
    return labels


class ExaminationCache:
    """Cached examinations, by path, size and modification time of a pair's files.

    The user's cache folder holds them in parts, so that after a change only the changed pairs are decoded again, and
    after a kill only those of the part that was being filled.

    Args:
        dataset: The data set, as returned by `open_dataset`.
        fresh: Discard earlier examinations; new ones are cached all the same.
        expected: Number of pairs that will be examined; 0 if unknown.
    """

    def __init__(self, dataset: Dataset, *, fresh: bool = False, expected: int = 0) -> None:
        # Error messages contain the number of classes; class names do not matter.
        facts: tuple[object, ...] = (EXAMINED.version, dataset.label_table, dataset.reading, len(dataset.classes))
        if dataset.multilabel:
            facts = (*facts, "multilabel")
        key = os.fsencode(dataset.root.resolve()) + b"\0" + msgspec.json.encode(facts)
        self._fresh = fresh
        self._parts = PartedCache(EXAMINED, sha256_bytes(key)[:20], expected=expected, gone=_is_gone)

    def get(self, split: str, sample: Sample) -> Examination | None:
        """The cached examination of a pair, or None if there is none or a file has changed since."""
        state = _state(sample)
        if self._fresh or state is None:
            return None
        known = self._parts.get(_key(split, sample), lambda value: value.partition(b"\0")[0] == state)
        if known is None:
            return None
        try:
            found = DECODER.decode(known.partition(b"\0")[2])
        except (msgspec.DecodeError, ValueError):
            return None
        found.sample = sample  # files in shards are more than their paths
        return found

    def put(self, examination: Examination) -> None:
        """Cache an examination, unless a file was written moments ago and may change again unnoticed."""
        state = _state(examination.sample, settled=True)
        if state is not None:
            encoded = ENCODER.encode(examination)
            self._parts.put(_key(examination.split, examination.sample), state + b"\0" + encoded)

    def save(self, *, own: bool = False) -> None:
        """Write what is not written yet to the cache folder; entries of other splits are kept.

        Args:
            own: Leave what other processes have written as it is; see `PartedCache.save`.
        """
        self._parts.save(own=own)


def _key(split: str, sample: Sample) -> bytes:
    paths = (sample.image_path, *(path or "" for path in sample.class_masks or (sample.mask_path,)))
    if sample.ignore_mask is not None:
        paths = (*paths, sample.ignore_mask)
    return b"\0".join([split.encode(), sample.id.encode(), *(os.fsencode(path) for path in paths)])


def _is_gone(key: bytes) -> bool:
    return is_gone(key.split(b"\0")[2])


def _state(sample: Sample, *, settled: bool = False) -> bytes | None:
    """Sizes and modification times of the files; None if one is inaccessible or, with `settled`, too young."""
    states = []
    for path in (sample.image_path, *sample.mask_files):
        try:
            if settled and time.time() - path.stat().st_mtime <= SETTLED_SECONDS:
                return None
            states.append(state_of(path))
        except OSError:
            return None
    return " ".join(states).encode()


def _to_plain(value: Any) -> Any:
    if isinstance(value, Path):
        return os.fsencode(value)
    if isinstance(value, np.ndarray):
        return value.astype("<i8").tobytes()
    if isinstance(value, DataError):
        return [value.code, value.message, value.help]
    raise NotImplementedError(f"{type(value)} is not part of an examination")


def _from_plain(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(os.fsdecode(value))
    if issubclass(kind, np.ndarray):
        return np.frombuffer(value, "<i8").astype(np.int64)
    if issubclass(kind, DataError):
        return DataError(*value)
    raise NotImplementedError(f"{kind} is not part of an examination")


ENCODER = msgspec.msgpack.Encoder(enc_hook=_to_plain)
DECODER = msgspec.msgpack.Decoder(Examination, dec_hook=_from_plain)
"""Examinations as bytes, which know no more than the paths of files in shards."""
