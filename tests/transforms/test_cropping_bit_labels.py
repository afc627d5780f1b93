"""Geometric augmentation of bit fields: like class ids, no bit appears, disappears or moves on its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.schema.recipe import Augment
from pixelwise.transforms.augmentation import random_geometry
from pixelwise.transforms.mixing import mix_pair
from pixelwise.transforms.resizing import resize_labels


def pair(seed: int, size: tuple[int, int] = (23, 31)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image, class ids 0..6 or 255, and bit fields that stand for them one to one."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    ids = random.choice(np.array([0, 1, 2, 3, 4, 5, 6, IGNORE], np.uint8), size)
    return image, ids, as_bits(ids)


CODES = np.full(256, IGNORE_BIT, np.int32)
CODES[:7] = (0, 1, 3, 1 << 29, 1 << 29 | 5, IGNORE_BIT - 1, 1 << 17)


def as_bits(ids: np.ndarray) -> np.ndarray:
    return CODES[ids]


AUGMENTS = [
    Augment(flip=0.5),
    Augment(crop=(16, 16), flip=0.5),
    Augment(crop=(40, 20), scale=(0.5, 2.0), flip=0.5, aspect=0.2, rotate=20),
    Augment(crop=(16, 40), scale=(0.5, 2.0), rotate=15, resampling="bilinear", pad="center"),
    Augment(crop=(16, 16), scale=(0.4, 3.0), resampling="antialiased", translate=5),
]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(AUGMENTS), st.integers(0, 10_000))
def test_every_geometry_moves_bit_fields_as_it_moves_class_ids(augment: Augment, seed: int):
    image, ids, bits = pair(seed)
    moved, moved_ids = random_geometry(image, ids, augment, np.random.default_rng(seed))
    same, moved_bits = random_geometry(image, bits, augment, np.random.default_rng(seed))
    assert moved_bits.dtype == np.int32
    assert np.array_equal(moved, same)
    assert np.array_equal(moved_bits, as_bits(moved_ids))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 100))
def test_resizing_picks_whole_pixels(height: int, width: int, seed: int):
    _, ids, bits = pair(seed, (9, 13))
    assert np.array_equal(resize_labels(bits, (height, width)), as_bits(resize_labels(ids, (height, width))))


def test_a_crop_centred_on_a_class_finds_the_rare_bit():
    image, labels = np.zeros((200, 200, 3), np.uint8), np.zeros((200, 200), np.int32)
    labels[:] = 1
    labels[150, 60] |= 1 << 4
    labels[:3] = IGNORE_BIT
    augment = Augment(crop=(20, 20), class_crop=1.0)
    seen = [
        bool((random_geometry(image, labels, augment, np.random.default_rng(seed))[1] & 1 << 4).any())
        for seed in range(60)
    ]
    # Two classes are present, so every second crop is centred on the one pixel of bit 4.
    assert 15 <= sum(seen) <= 45


def test_a_picture_without_any_class_is_cropped_at_random():
    labels = np.full((30, 30), IGNORE_BIT, np.int32)
    labels[:5] = 0
    augment = Augment(crop=(10, 10), class_crop=1.0)
    _, cropped = random_geometry(np.zeros((30, 30, 3), np.uint8), labels, augment, np.random.default_rng(0))
    assert set(np.unique(cropped)) <= {0, IGNORE_BIT}


def test_cutmix_pastes_whole_bit_fields():
    image, _, bits = pair(1)
    other_image, _, other = pair(2)
    _, mixed = mix_pair(image, bits, other_image, other, "cutmix", np.random.default_rng(0))
    assert mixed.dtype == np.int32
    assert np.all((mixed == bits) | (mixed == other))
    assert not np.array_equal(mixed, bits)


@pytest.mark.parametrize("size", [(23, 31), (10, 10)])
def test_padding_is_ignored_and_nothing_else_is(size: tuple[int, int]):
    labels = np.full(size, 5, np.int32)
    augment = Augment(crop=(40, 40), pad="end")
    _, cropped = random_geometry(np.zeros((*size, 3), np.uint8), labels, augment, np.random.default_rng(0))
    expected = np.full((40, 40), IGNORE_BIT)
    expected[: size[0], : size[1]] = 5
    assert np.array_equal(cropped, expected)
