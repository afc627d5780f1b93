import io
import itertools
import uuid
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing import near_duplicates
from pixelwise.datasets.auditing.near_duplicates import (
    MAX_DISTANCE,
    NO_SIGNATURE,
    Looks,
    Signature,
    alike,
    repeated,
    signature_of,
    twins_across,
)
from pixelwise.datasets.samples import Sample


def scene(seed: int, size: tuple[int, int] = (180, 240)) -> np.ndarray:
    """Smooth random colours: uint8 (H, W, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def looks_of(*images: np.ndarray, content: str = "") -> Looks:
    """Images whose files all have the same content if `content` is given, else each its own."""
    return looks_with([(content or uuid.uuid4().hex * 2, signature_of(image)) for image in images])


def looks_with(known: Sequence[tuple[str, Signature]]) -> Looks:
    looks = Looks(len(known))
    for row, (digest, signature) in enumerate(known):
        looks.set(row, digest, signature)
    return looks


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
    train = looks_of(*(scene(number) for number in range(300)))
    val = looks_of(as_jpeg(scene(250)), scene(1000), as_jpeg(scene(3)))
    assert [(row, twin) for row, twin, _ in twins_across(train, val).tolist()] == [(250, 0), (3, 2)]
    assert len(twins_across(train, looks_of())) == len(twins_across(looks_of(), val)) == 0


def test_identical_files_are_left_to_the_exact_comparison():
    assert len(twins_across(looks_of(scene(0), content="ab" * 32), looks_of(scene(0), content="ab" * 32))) == 0
    assert twins_across(looks_of(scene(0), content="ab" * 32), looks_of(scene(0))).tolist() == [[0, 0, 0]]


def crowded(random: np.random.Generator, number: int) -> Looks:
    """Images around few scenes: hashes at 0 to 8 bits, thumbnails with or without noise, several with one content."""
    known = []
    for _ in range(number):
        center = signature_of(scene(int(random.integers(4))))
        bits = random.choice(64, int(random.integers(9)), replace=False)
        noise = random.integers(-1, 2, 256) * int(random.choice([0, 0, 20, 90]))
        pixels = np.clip(np.frombuffer(center.thumbnail, np.uint8).astype(int) + noise, 0, 255).astype(np.uint8)
        look = Signature(center.hash ^ sum(1 << int(bit) for bit in bits), pixels.tobytes())
        known.append((f"{random.integers(6):02x}" * 32, look if random.random() > 0.1 else NO_SIGNATURE))
    return looks_with(known)


def by_comparing_all(first: Looks, second: Looks) -> list[list[int]]:
    """The definition: every image with every other, in the order of their distances, then of the first ones."""
    found = []
    for twin in range(len(second)):
        other = second.signature(twin)
        distances = [((first.signature(row).hash ^ other.hash).bit_count(), row) for row in range(len(first))]
        fitting = (
            [row, twin, bits]
            for bits, row in sorted(distances)
            if first.digests[row] != second.digests[twin] and alike(first.signature(row), other)
        )
        found += itertools.islice(fitting, 1)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_twins_are_those_of_comparing_all(seed: int):
    random = np.random.default_rng(seed)
    first, second = crowded(random, 60), crowded(random, 50)
    expected = by_comparing_all(first, second)
    assert twins_across(first, second).tolist() == expected
    assert len({bits for _, _, bits in expected}) > 2


def test_few_images_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(0)
    first, second = crowded(random, 60), crowded(random, 50)
    for name in ("_BLOCK", "_TOGETHER", "_MOST_AT_ONCE"):
        monkeypatch.setattr(near_duplicates, name, 3)
    assert twins_across(first, second).tolist() == by_comparing_all(first, second)


def test_a_few_scenes_in_very_many_files_are_compared_once_each(monkeypatch: pytest.MonkeyPatch):
    compared = 0
    alike_images = near_duplicates._alike_images

    def counting(first: Looks, rows: np.ndarray, second: Looks, others: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += len(rows)
        return alike_images(first, rows, second, others)

    monkeypatch.setattr(near_duplicates, "_alike_images", counting)
    look = signature_of(scene(0))
    first, second = (looks_with([(f"{side}{row:063x}", look) for row in range(2000)]) for side in "ab")
    assert twins_across(first, second).tolist() == [[0, row, 0] for row in range(2000)]
    assert compared == 2000


def samples_of(ids: str) -> list[Sample]:
    return [Sample(id, Path(id), None) for id in ids]


def test_frames_of_a_video_are_counted_against_the_last_new_one():
    frames = [scene(0), as_jpeg(scene(0)), scene(1), as_jpeg(scene(1)), as_jpeg(scene(1)), scene(0)]
    assert repeated(looks_of(*frames), samples_of("abcdef")) == 3
    # In the order of the ids, whatever the order of the rows.
    assert repeated(looks_of(*frames[::-1]), samples_of("fedcba")) == 3
    assert repeated(looks_of(*frames), samples_of("acbdef")) == 1
    assert repeated(looks_of(), []) == 0
