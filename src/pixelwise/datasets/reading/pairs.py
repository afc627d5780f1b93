"""Reading of labels, and of images with their labels, for training and evaluation."""

from __future__ import annotations

import numpy as np

from pixelwise.datasets.reading.fitting import fit_labels, rotation_error
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.masks import load_mask, mask_error, no_mask, read_class_masks, translate, valid_labels
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT


def read_labels(sample: Sample, dataset: Dataset) -> np.ndarray:
    """Read the mask of `sample` as uint8 (H, W) class ids with 255 = ignored; multi-label data as int32 bit fields.

    Args:
        sample: A sample of `dataset`.
        dataset: Data set whose label table and reading options are used.

    Raises:
        DataError: D201 masks per class of different sizes, D202 unknown ids, D203 colours outside the table or a lossy
            format, D205 an RGB mask without a colour table, D220 no mask; those of `load_mask`.
    """
    if sample.mask_path is None:
        raise no_mask(sample.image_path)
    if dataset.multilabel:
        return valid_labels(read_class_masks(sample, dataset, None))
    reading = dataset.reading
    raw = load_mask(sample.mask_path, dataset.label_table, max_pixels=reading.max_pixels, exif=reading.exif)
    translation = translate(raw, dataset.label_table)
    error = mask_error(sample.mask_path, raw, translation, dataset.label_table, len(dataset.classes))
    if error is not None:
        raise error
    return translation.labels


def read_pair(sample: Sample, dataset: Dataset, *, fit: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Read image and labels of equal size: uint8 (H, W, 3) and uint8 (H, W), or int32 (H, W) for multi-label data.

    Args:
        sample: A sample of `dataset`.
        dataset: Data set whose label table and reading options are used.
        fit: Whether to resize labels of another size to that of the image, if `mask_resize` allows another size at
            all. False keeps the size of the mask file; the masks per class of multi-label data are always resized.

    Raises:
        DataError: D110, the mask fits the image only without (or with) its EXIF rotation; those of
            `read_image` and `read_labels`.
    """
    image, facts = load_image(sample.image_path, dataset.reading)
    if dataset.multilabel and sample.mask_path is not None:
        return image, valid_labels(read_class_masks(sample, dataset, (image.shape[0], image.shape[1]), facts))
    labels = read_labels(sample, dataset)
    error = rotation_error(sample, image.shape[:2], labels.shape, facts.orientation, dataset.reading)
    if error is not None:
        raise error
    # Masks of another shape are refused whatever is done with the labels.
    fitted = fit_labels(labels, image.shape[:2], sample.mask_path, dataset.reading)
    return image, fitted if fit else labels


def read_to_learn(sample: Sample, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Read image and labels as `read_pair`; of an image without a mask, every pixel is ignored.

    Args:
        sample: A sample of `dataset`, or an image that a teacher says something of.
        dataset: Data set whose label table and reading options are used.

    Raises:
        DataError: As `read_pair`, but not D220.
    """
    if sample.is_labelled:
        return read_pair(sample, dataset)
    image, _ = load_image(sample.image_path, dataset.reading)
    void, dtype = (IGNORE_BIT, np.int32) if dataset.multilabel else (IGNORE, np.uint8)
    return image, np.full(image.shape[:2], void, dtype)
