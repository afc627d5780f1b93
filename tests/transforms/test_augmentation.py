import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.recipes.schema.recipe import Augment
from pixelwise.transforms.augmentation import fixed_resize, random_geometry


def pair(height: int = 6, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Every pixel's red is its row, green its column; the label is the row."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    return image, rows.astype(np.uint8)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_settings_nothing_changes():
    image, labels = pair()
    new_image, new_labels = random_geometry(image, labels, Augment(), random())
    assert np.array_equal(new_image, image)
    assert np.array_equal(new_labels, labels)


def test_a_flip_turns_columns_around_in_both():
    image, labels = pair()
    labels[0, 0] = 255
    flipped, flipped_labels = random_geometry(image, labels, Augment(flip=1.0), random())
    assert flipped[0, :, 1].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert flipped_labels[0].tolist() == [0] * 7 + [255]


@given(seed=st.integers(0, 500))
def test_an_unzoomed_crop_copies_pixels_exactly(seed: int):
    image, labels = pair()
    crop, crop_labels = random_geometry(image, labels, Augment(crop=(3, 4), flip=0.5), random(seed))
    top, left = crop[0, 0, 0], min(crop[0, 0, 1], crop[0, -1, 1])
    assert set(np.diff(crop[:, 0, 0])) == {1}
    assert abs(int(crop[0, -1, 1]) - int(crop[0, 0, 1])) == 3
    assert np.array_equal(crop_labels, labels[top : top + 3, left : left + 4])


def test_a_crop_larger_than_the_image_is_padded_with_black_and_ignored_labels():
    image, labels = pair()
    image[...] = 9
    crop, crop_labels = random_geometry(image, labels, Augment(crop=(8, 10)), random())
    assert crop.shape == (8, 10, 3)
    assert (crop_labels == 255).sum() == 8 * 10 - 6 * 8
    assert (crop[crop_labels == 255] == 0).all()
    assert (crop[crop_labels != 255] == 9).all()


def test_a_zoom_of_two_doubles_lengths_and_keeps_image_and_labels_together():
    image, labels = np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8)
    image[8:12, 8:12], labels[8:12, 8:12] = 255, 1
    augment = Augment(scale=(2.0, 2.0), crop=(40, 40))
    big, big_labels = random_geometry(image, labels, augment, random())
    assert (big_labels == 1).sum() == 64
    assert np.array_equal(big[..., 0] > 127, big_labels == 1)


def test_class_crops_find_the_rare_class():
    labels = np.zeros((100, 100), np.uint8)
    labels[90, 5] = 3
    image = np.zeros((100, 100, 3), np.uint8)
    plain, aimed = Augment(crop=(10, 10)), Augment(crop=(10, 10), class_crop=1.0)

    def hits(augment: Augment) -> int:
        return sum(3 in random_geometry(image, labels, augment, random(seed))[1] for seed in range(100))

    # One in two crops is centred on class 3, and nearly no other holds that pixel.
    assert 35 <= hits(aimed) <= 65
    assert hits(plain) <= 8


def test_equal_generators_give_equal_results():
    image, labels = pair(30, 40)
    augment = Augment(crop=(16, 16), scale=(0.5, 2.0), aspect=0.2, flip=0.5, class_crop=0.5)
    first, second = (random_geometry(image, labels, augment, random(3)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_zoom_is_drawn_log_uniformly():
    image, labels = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    augment = Augment(crop=(256, 256), scale=(0.5, 2.0))
    areas = [(random_geometry(image, labels, augment, random(seed))[1] == 0).sum() for seed in range(300)]
    zooms = np.sqrt(np.array(areas)) / 64
    assert np.median(zooms) == pytest.approx(1.0, abs=0.12)
    assert zooms.min() >= 0.49
    assert zooms.max() <= 2.01


def test_the_fixed_resize_changes_both():
    image, labels = fixed_resize(*pair(), Augment(resize=(3, 4)))
    assert image.shape == (3, 4, 3)
    assert labels.shape == (3, 4)
