"""One pair of files, looked at completely: what the audit learns from it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pixelwise.datasets.decoding import SUFFIXES
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.labels import count_values
from pixelwise.datasets.reading import (
    ImageFacts,
    RawMask,
    Translation,
    fit_labels,
    load_image,
    load_mask,
    mask_error,
    rotation_error,
    translate,
)
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError

MAX_VALUES = 1000
"""So many values of a mask are kept, the most frequent ones: a photo in place of a mask has 100 000 colours."""


@dataclass
class Examination:
    """What is known about one pair after both files were decoded.

    Attributes:
        split: The split of the sample.
        sample: The pair.
        errors: What is wrong, with the file it is wrong with.
        image: Facts about the image; None if it could not be read.
        size: (height, width) of the image as read.
        digest: SHA-256 of the image file; empty if it could not be read.
        encoding: Of the mask, in words; empty if it could not be read.
        pixels: int64 (256,) number of pixels by class id (255 = ignored); None unless the pair is
            usable.
        raw_ids: Raw value -> pixels of a mask with one channel.
        unknown_ids: Those without a meaning.
        unknown_colors: `0xrrggbb` -> pixels without a meaning, of an RGB mask.
        colors: Raw value -> colour in the palette of a palette mask, for the values that occur.
    """

    split: str
    sample: Sample
    errors: list[tuple[Path, DataError]] = field(default_factory=list)
    image: ImageFacts | None = None
    size: tuple[int, int] = (0, 0)
    digest: str = ""
    encoding: str = ""
    pixels: np.ndarray | None = None
    raw_ids: dict[int, int] = field(default_factory=dict)
    unknown_ids: dict[int, int] = field(default_factory=dict)
    unknown_colors: dict[int, int] = field(default_factory=dict)
    colors: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def misnamed(self) -> bool:
        """Whether the image's content is of another format than its name says."""
        promised = SUFFIXES.get(self.sample.image_path.suffix.lower())
        return self.image is not None and promised != self.image.format


def examine(split: str, sample: Sample, dataset: Dataset, hashes: HashCache, *, fresh: bool = False) -> Examination:
    """Decode and check one pair; never raises because of what the files hold.

    Args:
        split: The split of `sample`.
        sample: Of `dataset`.
        dataset: Gives label table and reading options.
        hashes: Gives and keeps the contents' hashes.
        fresh: Compute the hashes again and compare them with the kept ones.
    """
    result = Examination(split, sample)
    for path in (sample.image_path, sample.mask_path):
        # A file that cannot be read is reported by its decoding below.
        try:
            digest = hashes.digest(path, fresh=fresh) if path is not None and path.is_file() else ""
        except OSError:
            digest = ""
        result.digest = digest if path is sample.image_path else result.digest
    try:
        pixels, result.image = load_image(sample.image_path, dataset.reading)
        result.size = (pixels.shape[0], pixels.shape[1])
    except DataError as error:
        result.errors.append((sample.image_path, error))
    mask_path = sample.mask_path
    if mask_path is None:
        return result
    try:
        raw = load_mask(mask_path, dataset.label_table, max_pixels=dataset.reading.max_pixels)
    except DataError as error:
        result.errors.append((mask_path, error))
        return result
    translation = translate(raw, dataset.label_table)
    _describe_mask(result, raw, translation)
    error = mask_error(mask_path, raw, translation, dataset)
    if error is not None:
        result.errors.append((mask_path, error))
    if result.image is not None:
        _compare_sizes(result, result.image, translation.labels, mask_path, dataset)
    return result


def _describe_mask(result: Examination, raw: RawMask, translation: Translation) -> None:
    result.encoding = raw.encoding
    result.unknown_ids = _most_frequent(translation.unknown_ids)
    result.unknown_colors = _most_frequent(translation.unknown_colors)
    if raw.values.ndim != 2:
        return
    result.raw_ids = _most_frequent(count_values(raw.values))
    if raw.palette is not None:
        known = (raw_id for raw_id in result.raw_ids if raw_id < len(raw.palette))
        result.colors = {raw_id: tuple(raw.palette[raw_id].tolist()) for raw_id in known}


def _most_frequent(counts: dict[int, int]) -> dict[int, int]:
    return dict(itertools.islice(counts.items(), MAX_VALUES))


def _compare_sizes(
    result: Examination, facts: ImageFacts, labels: np.ndarray, mask_path: Path, dataset: Dataset
) -> None:
    error = rotation_error(result.sample, result.size, labels.shape, facts, dataset.reading)
    if error is not None:
        result.errors.append((result.sample.image_path, error))
        return
    try:
        labels = fit_labels(labels, result.size, mask_path, dataset.reading)
    except DataError as error:
        result.errors.append((mask_path, error))
        return
    if not result.errors:
        result.pixels = np.bincount(labels.ravel(), minlength=256)
