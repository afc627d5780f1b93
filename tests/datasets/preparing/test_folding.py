from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pixelwise.datasets.preparing.folding import fold_samples
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError, RecipeError


def samples(names: list[str]) -> list[Sample]:
    return [Sample(name, Path(f"images/{name}.png"), Path(f"masks/{name}.png")) for name in sorted(names)]


SERIES = [f"drive-{series}_{frame:04d}" for series in "abcdefghijkl" for frame in range(5)]


def test_every_image_is_held_out_once_and_learned_elsewhere():
    folds = fold_samples(samples(SERIES), {}, folds=4)
    held = [id for fold in folds for id in fold.held_out]
    assert sorted(held) == sorted(SERIES)
    for fold in folds:
        assert sorted((*fold.train, *fold.held_out)) == sorted(SERIES)
        assert fold.selection == ()
        assert len(fold.held_out) == 15


def test_a_series_is_in_one_part_of_a_fold_alone():
    for fold in fold_samples(samples(SERIES), {}, folds=3, selection=True):
        parts = [{id[:7] for id in ids} for ids in fold]
        assert sum(map(len, parts)) == 12
        assert all(parts)


def test_a_rare_class_is_in_every_fold_where_there_are_enough_images_of_it():
    names = [f"image-{place:03d}x" for place in range(60)]
    classes = {name: {0, 1} if place % 12 == 0 else {0} for place, name in enumerate(names)}
    for seed in range(5):
        folds = fold_samples(samples(names), classes, folds=5, seed=seed)
        assert Counter(sum(1 in classes[id] for id in fold.held_out) for fold in folds) == {1: 5}


def test_the_same_seed_gives_the_same_folds_and_another_gives_others():
    first, again, other = (fold_samples(samples(SERIES), {}, folds=3, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_pattern_forms_the_groups():
    names = [f"{site}_{number}" for site in "abcd" for number in range(3)]
    for fold in fold_samples(samples(names), {}, folds=2, group="^[^_]+"):
        assert not {id[0] for id in fold.held_out} & {id[0] for id in fold.train}


def in_splits(names: dict[str, list[str]]) -> list[Sample]:
    """Samples of `images/SPLIT/NAME.png` with the ids that the split `all` gives them."""
    every = [name for own in names.values() for name in own]
    return [
        Sample(
            f"{split}/{name}" if every.count(name) > 1 else name,
            Path(f"images/{split}/{name}.png"),
            Path(f"masks/{split}/{name}.png"),
        )
        for split, own in names.items()
        for name in own
    ]


@pytest.mark.parametrize("group", [None, "^[^_]+", r"^drive-\w"])
def test_a_series_that_lies_in_several_split_folders_stays_together(group: str | None):
    names = {
        "train": [name for name in SERIES if name[-1] in "0123"],
        "val": [name for name in SERIES if name[-1] == "4"],
    }
    for fold in fold_samples(in_splits(names), {}, folds=4, group=group):
        assert {name[:7] for name in fold.held_out}.isdisjoint({name[:7] for name in fold.train})
        assert (len(fold.held_out), len(fold.train)) == (15, 45)


@pytest.mark.parametrize("group", [None, "^scene"])
def test_images_of_one_name_in_several_split_folders_are_groups_of_their_own(group: str | None):
    numbers = [f"{number:02d}" for number in range(4)]
    folds = fold_samples(in_splits({"train": [*numbers, "scene"], "val": numbers}), {}, folds=9, group=group)
    alone = [(f"{split}/{number}",) for split in ("train", "val") for number in numbers]
    assert sorted(fold.held_out for fold in folds) == sorted([*alone, ("scene",)])


def test_too_few_groups_are_refused():
    names = [f"{site}_{number}" for site in "ab" for number in range(3)]
    with pytest.raises(DataError, match=r"2 groups of images \(a, b\) for 3 folds"):
        fold_samples(samples(names), {}, folds=3, group="^[^_]+")
    with pytest.raises(DataError, match=r"one group \([ab]\), from which no part") as caught:
        fold_samples(samples(names), {}, folds=2, group="^[^_]+", selection=True)
    assert caught.value.code == "D221"
    # Two groups are no more than two folds, whatever is done.
    assert "more `folds`" not in caught.value.help
    with pytest.raises(DataError, match="are one group") as caught:
        fold_samples(samples([*names, "c_0"]), {"c_0": {1}}, folds=2, group="^[^_]+", selection=True)
    assert "more `folds`" in caught.value.help
    for count, way in ((1, "label more images"), (2, "fewer `folds`")):
        with pytest.raises(DataError) as caught:
            fold_samples(samples(names[: 3 * count]), {}, folds=count + 1, group="^[^_]+")
        assert way in caught.value.help
    with pytest.raises(RecipeError, match="not a valid regular expression"):
        fold_samples(samples(names), {}, folds=2, group="(")
