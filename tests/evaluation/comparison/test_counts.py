from pathlib import Path

import numpy as np
import pytest

from pixelwise.errors import DataError, RecipeError
from pixelwise.evaluation.comparison.counts import read_counts, read_ids
from pixelwise.records.details import ClassPixels, ConfusedPixels, ImageDetails, save_details

IMAGES = (
    ImageDetails(id="b", confusion=(ConfusedPixels(0, 0, 5), ConfusedPixels(0, 1, 2), ConfusedPixels(1, 1, 3))),
    ImageDetails(id="a", confusion=(ConfusedPixels(1, 0, 4),)),
)


def test_counts_are_those_of_a_count_by_hand(tmp_path: Path):
    save_details(IMAGES, tmp_path)
    assert read_ids(tmp_path) == ["a", "b"]
    found = read_counts(tmp_path, (0, 1), {"a": "a", "b": "b"})
    # Image a: 4 pixels of class 1, found as 0. Image b: 7 of class 0, of which 2 are found as 1, and 3 of class 1.
    assert found.rows.tolist() == [[0, 0, 4, 4], [5, 3, 7, 5]]
    assert found.images == 2
    assert found.labelled.tolist() == [1, 2]
    together = read_counts(tmp_path, (0, 1), {"a": "x", "b": "x"})
    assert (together.rows.tolist(), together.labelled.tolist()) == ([[5, 3, 11, 9]], [1, 1])


def test_multi_label_counts(tmp_path: Path):
    save_details([ImageDetails(id="a", binary=(ClassPixels(1, 5, 2, 3),))], tmp_path)
    assert read_counts(tmp_path, (0, 1), {"a": "a"}).rows.tolist() == [[0, 5, 0, 10]]


def test_the_truth_is_the_labels_alone(tmp_path: Path):
    truths = []
    for name, cells in (("same", ((0, 1, 7), (1, 1, 3))), ("other", ((0, 0, 6), (1, 1, 4)))):
        first = ImageDetails(id="b", confusion=tuple(ConfusedPixels(*cell) for cell in cells))
        save_details([first, IMAGES[1]], tmp_path / name)
        truths.append(read_counts(tmp_path / name, (0, 1), {"a": "a", "b": "b"}).truth)
    save_details(IMAGES, tmp_path)
    here = read_counts(tmp_path, (0, 1), {"a": "a", "b": "b"}).truth
    assert truths[0] == here
    assert truths[1] != here


def test_what_is_missing_or_damaged_is_said(tmp_path: Path):
    with pytest.raises(RecipeError) as caught:
        read_ids(tmp_path)
    assert caught.value.code == "R304"
    save_details(IMAGES, tmp_path)
    for classes, groups in (((0,), {"a": "a", "b": "b"}), ((0, 1), {"a": "a"})):
        with pytest.raises(DataError) as damaged:
            read_counts(tmp_path, classes, groups)
        assert damaged.value.code == "D240"


@pytest.mark.heavy
def test_memory_is_that_of_two_numbers_per_class_and_image(tmp_path: Path):
    import tracemalloc

    random = np.random.default_rng(0)
    images, classes = 2000, 150
    save_details(
        [
            ImageDetails(
                id=f"{i:05d}x",
                confusion=tuple(ConfusedPixels(int(t), int(t), 1) for t in random.choice(classes, 10, replace=False)),
            )
            for i in range(images)
        ],
        tmp_path,
    )
    ids = {f"{i:05d}x": f"{i:05d}x" for i in range(images)}
    tracemalloc.start()
    read_counts(tmp_path, range(classes), ids)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * (2 * classes * images * 8)
