from pixelwise.datasets.classes.strays import strays

FILES = {0: (20, "a"), 1: (20, "a"), 2: (12, "a"), 255: (20, "a")}


def test_a_few_pixels_in_one_mask_are_stray():
    assert strays({0: 50_000, 1: 40_000, 2: 9_000, 37: 16}, FILES | {37: (1, "b")}, 20) == [37]


def test_a_few_pixels_in_many_masks_or_many_in_one_are_not():
    assert strays({0: 50_000, 1: 40_000, 2: 9_000, 37: 16}, FILES | {37: (2, "b")}, 20) == []
    assert strays({0: 50_000, 1: 40_000, 2: 9_000, 37: 160}, FILES | {37: (1, "b")}, 20) == []
    assert strays({0: 50_000, 1: 40_000, 2: 9_000, 37: 16}, FILES | {37: (4, "b")}, 100) == [37]


def test_background_and_ignored_pixels_and_few_masks_tell_nothing():
    assert strays({0: 3, 1: 40_000, 2: 9_000, 255: 3}, FILES | {0: (1, "b"), 255: (1, "b")}, 20) == []
    assert strays({0: 50_000, 1: 40_000, 37: 16}, FILES | {37: (1, "b")}, 3) == []


def test_where_most_values_are_rare_none_is_stray():
    rare = dict.fromkeys(range(2, 30), 5)
    assert strays({0: 50_000, 1: 40_000} | rare, FILES | dict.fromkeys(rare, (1, "b")), 20) == []
