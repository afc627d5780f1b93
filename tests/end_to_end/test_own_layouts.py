"""Common folder layouts, each with every mask encoding: read correctly and without false alarms."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.schema.recipe import Data

SIZE = (12, 16)
COUNT = 5
SPLITS = ("train", "val", "test")
# Paths of an image and of its mask; {0} is a split, or is missing where the layout has none.
DIVIDED = [
    ("images/{0}/{1}.jpg", "masks/{0}/{1}.png"),
    ("{0}/images/{1}.jpg", "{0}/masks/{1}.png"),
    ("{0}/{1}.jpg", "{0}_masks/{1}.png"),
    ("{0}_x/{1}.jpg", "{0}_y/{1}.png"),
    ("img_dir/{0}/{1}.JPG", "ann_dir/{0}/{1}.png"),
    ("{0}/{1}.jpg", "{0}/{1}_mask.png"),
    ("images/{1}.jpg", "masks/{0}/{1}.png"),
    ("Set_{0}_Input/{1}.png", "Set_{0}_GroundTruth/{1}_segmentation.png"),
    ("{0}/north/images_png/{1}.png", "{0}/north/masks_png/{1}.png"),
    ("my data/{0}/Images/{1}.jpeg", "my data/{0}/Labels/{1}.PNG"),
]
WHOLE = [
    ("images/{1}.jpg", "masks/{1}.png"),
    ("Original/{1}.tif", "Ground Truth/{1}.tif"),
    ("JPEGImages/{1}.jpg", "SegmentationClassPNG/{1}.png"),
    ("images/site/día {1}/{1}.webp", "masks/site/día {1}/{1}.bmp"),
    ("images/image_{1}.jpg", "masks/mask_{1}.png"),
    ("images/{1}.jpg", "labels/{1}.jpg.png"),
    ("{1}.jpg", "{1}.png"),
    ("{1}/image.jpg", "{1}/mask.png"),
    ("images/{1}.jpg", "annotations/trimaps/{1}.png"),
    ("{1}.jpg", "masks/{1}.png"),
    ("x/{1}.jpg", "y/{1}.png"),
]
Encode = Callable[[np.ndarray], Image.Image]


def as_ids(labels: np.ndarray) -> Image.Image:
    return Image.fromarray(labels)


def as_colors(labels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.array([(0, 0, 0), (0, 128, 0), (128, 0, 0)], np.uint8)[labels])


def as_black_and_white(labels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.where(labels > 0, np.uint8(255), np.uint8(0)))


def labels_of(key: str) -> np.ndarray:
    """Random uint8 (H, W) labels of the classes 0, 1, 2, different for every key."""
    return np.random.default_rng(list(key.encode())).integers(0, 3, SIZE, np.uint8)


def write(root: Path, image: str, mask: str, splits: Sequence[str], encode: Encode) -> dict[Path, np.ndarray]:
    """Write images and masks; returns image path -> labels of its mask."""
    written = {}
    for split in splits:
        for i in range(COUNT):
            key = f"{split[:2]}{i}"
            photo, truth = (root / pattern.format(split, key) for pattern in (image, mask))
            for path in (photo, truth):
                path.parent.mkdir(parents=True, exist_ok=True)
            labels = labels_of(key)
            Image.fromarray(np.random.default_rng(labels).integers(0, 256, (*SIZE, 3), np.uint8)).save(photo)
            encode(labels).save(truth)
            written[photo] = np.minimum(labels, 1) if encode is as_black_and_white else labels
    return written


@pytest.mark.parametrize("encode", [as_ids, as_colors, as_black_and_white])
@pytest.mark.parametrize(("image", "mask"), [*DIVIDED, *WHOLE])
def test_a_folder_is_read_as_it_is_meant(tmp_path: Path, image: str, mask: str, encode: Encode):
    has_splits = (image, mask) in DIVIDED
    written = write(tmp_path / "own", image, mask, SPLITS if has_splits else ("all",), encode)
    dataset = open_dataset(Data(), tmp_path / "own")

    samples = [sample for found in dataset.splits.values() for sample in found]
    assert {sample.image_path for sample in samples} == set(written)
    for sample in samples:
        assert np.array_equal(read_pair(sample, dataset)[1], written[sample.image_path])
    counts = {split: len(found) for split, found in dataset.splits.items()}
    assert counts == dict.fromkeys(SPLITS, COUNT) if has_splits else sorted(counts) == ["train", "val"]
    # What was assumed about colours, and about black and white, is said; nothing else is.
    assert {found.code for found in audit(dataset).findings} <= {"W217", "W218"}
