import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.near_duplicates import (
    MAX_DISTANCE,
    NO_SIGNATURE,
    HashedImage,
    Signature,
    alike,
    repeated,
    signature_of,
    twins_across,
)


def scene(seed: int, size: tuple[int, int] = (180, 240)) -> np.ndarray:
    """Smooth random colours: uint8 (H, W, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def seen(split: str, id: str, image: np.ndarray, digest: str | None = None) -> HashedImage:
    return HashedImage(split, id, Path(f"{split}/{id}.png"), digest or f"{split}{id}", signature_of(image))


def as_jpeg(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize("seed", range(5))
def test_copies_in_another_quality_size_or_brightness_are_alike(seed: int):
    image = scene(seed)
    look = signature_of(image)
    assert alike(look, signature_of(as_jpeg(image)))
    assert alike(look, signature_of(cv2.resize(image, (120, 90), interpolation=cv2.INTER_AREA)))
    assert alike(look, signature_of(np.clip(image * 0.8 + 20, 0, 255).astype(np.uint8)))


def test_different_scenes_are_not_alike():
    looks = [signature_of(scene(seed)) for seed in range(20)]
    assert not any(alike(one, other) for i, one in enumerate(looks) for other in looks[i + 1 :])


def test_bits_are_counted_and_the_limit_is_exact():
    image = scene(1)
    look = signature_of(image)
    assert alike(look, Signature(look.hash ^ (2**MAX_DISTANCE - 1), look.thumbnail))
    assert not alike(look, Signature(look.hash ^ (2 ** (MAX_DISTANCE + 1) - 1), look.thumbnail))


def test_equal_bits_alone_are_not_enough():
    look, other = signature_of(scene(1)), signature_of(scene(2))
    assert not alike(look, Signature(look.hash, other.thumbnail))


def test_flat_and_tiny_images_are_like_none():
    assert signature_of(np.full((100, 100, 3), 40, np.uint8)) == NO_SIGNATURE
    assert signature_of(scene(0, (31, 200))) == NO_SIGNATURE
    assert not alike(NO_SIGNATURE, NO_SIGNATURE)


def test_every_image_has_its_nearest_twin_once():
    train = [seen("train", str(number), scene(number)) for number in range(300)]
    val = [seen("val", "x", as_jpeg(scene(250))), seen("val", "y", scene(1000)), seen("val", "z", as_jpeg(scene(3)))]
    pairs = twins_across(train, val)
    assert sorted((one.id, other.id) for one, other, _ in pairs) == [("250", "x"), ("3", "z")]
    assert [distance for _, _, distance in pairs] == sorted(distance for _, _, distance in pairs)
    assert twins_across(train, []) == twins_across([], val) == []


def test_identical_files_are_left_to_the_exact_comparison():
    assert twins_across([seen("train", "a", scene(0), "same")], [seen("val", "b", scene(0), "same")]) == []


def test_frames_of_a_video_are_counted_against_the_last_new_one():
    frames = [scene(0), as_jpeg(scene(0)), scene(1), as_jpeg(scene(1)), as_jpeg(scene(1)), scene(0)]
    assert repeated([seen("val", str(number), frame) for number, frame in enumerate(frames)]) == 3
    assert repeated([]) == 0
