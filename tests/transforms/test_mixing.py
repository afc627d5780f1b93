import numpy as np

from pixelwise.transforms.mixing import draw_classes, draw_rectangle, mix_pair


def test_rectangles_cover_half_of_the_area_at_any_place_and_proportion():
    random = np.random.default_rng(0)
    heights, seen = [], np.zeros((60, 80))
    for _ in range(2000):
        pasted = draw_rectangle((60, 80), random)
        rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
        assert pasted.sum() == len(rows) * len(columns)
        assert abs(pasted.mean() - 0.5) < 0.02
        heights.append(len(rows) / 60)
        seen += pasted
    # The share of the height is log-uniform from 1/2 to 1; its median is sqrt(1/2).
    assert abs(np.median(heights) - np.sqrt(0.5)) < 0.02
    assert min(heights) < 0.52
    assert max(heights) > 0.98
    assert seen.all()


def test_half_of_the_classes_are_drawn_and_ignored_pixels_never():
    labels = np.array([[3, 3, 7], [9, 255, 255]], np.uint8)
    drawn = set()
    for seed in range(50):
        pasted = draw_classes(labels, np.random.default_rng(seed))
        classes = set(labels[pasted].tolist())
        assert len(classes) == 2
        assert pasted.sum() == np.isin(labels, list(classes)).sum()
        drawn |= classes
    assert drawn == {3, 7, 9}
    assert not draw_classes(np.full((2, 2), 255, np.uint8), np.random.default_rng(0)).any()


def test_image_and_labels_are_mixed_together_by_hand():
    image, labels = np.zeros((1, 3, 3), np.uint8), np.zeros((1, 3), np.uint8)
    other_image, other_labels = np.full((1, 3, 3), 50, np.uint8), np.array([[4, 255, 4]], np.uint8)
    mixed, mixed_labels = mix_pair(image, labels, other_image, other_labels, "classmix", np.random.default_rng(0))
    # One class is there: it is the half.
    assert mixed[0, :, 0].tolist() == [50, 0, 50]
    assert mixed_labels.tolist() == [[4, 0, 4]]
    assert (mixed.dtype, mixed_labels.dtype) == (np.uint8, np.uint8)
    assert not image.any()
    cut, cut_labels = mix_pair(image, labels, other_image, other_labels, "cutmix", np.random.default_rng(0))
    pasted = draw_rectangle((1, 3), np.random.default_rng(0))
    assert np.array_equal(cut[..., 0] == 50, pasted)
    assert np.array_equal(cut_labels, np.where(pasted, other_labels, 0))
