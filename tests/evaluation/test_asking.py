from pathlib import Path

import msgspec
import pytest

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import RecipeError
from pixelwise.evaluation.asking import Asked
from pixelwise.recipes.catalog import recipe


def dataset(*, divided: bool = False, **splits: str) -> Dataset:
    """A data set whose splits hold the images that the letters of a word name."""
    return Dataset(
        name="folder",
        root=Path("photos"),
        classes=("road",),
        palette=((0, 0, 0),),
        label_table=LabelTable(),
        splits={
            name: tuple(Sample(letter, Path(f"{letter}.png"), Path(f"{letter}_mask.png")) for letter in letters)
            for name, letters in splits.items()
        },
        reading=Reading(),
        divided=divided,
    )


def scored(asked: Asked, data: Dataset, own: bool | None) -> tuple[str, list[str], tuple[str, ...], list[str]]:
    """Split, ids of its images, notes, and codes of the warnings."""
    codes: list[str] = []
    found = asked.scored(data, "val", own, lambda code, message: codes.append(code))
    return found.split, [one.id for one in found.dataset.samples(found.split)], found.notes, codes


def test_a_split_of_its_own_is_scored_without_a_word():
    data = dataset(train="abc", val="de", test="f")
    for own in (True, False, None):
        assert scored(Asked(), data, own) == ("val", ["d", "e"], (), [])
        assert scored(Asked(split="test"), data, own) == ("test", ["f"], (), [])


@pytest.mark.parametrize("own", [False, None])
def test_other_data_without_splits_is_scored_whole(own: bool | None):
    split, ids, notes, codes = scored(Asked(), dataset(divided=True, train="abcd", val="e"), own)
    assert (split, ids, codes) == ("all", list("abcde"), [])
    assert notes[0].startswith("All 5 images are scored: the data has no splits")
    assert ("may have been trained on some" in notes[0]) == (own is None)
    split, ids, notes, codes = scored(Asked(split="val"), dataset(divided=True, train="abcd", val="e"), own)
    assert (split, ids, codes) == ("val", ["e"], ["W413"])
    assert "1 of 5 images" in notes[0]


def test_the_runs_own_division_is_used_and_said():
    split, ids, notes, codes = scored(Asked(), dataset(divided=True, train="abcd", val="e"), True)
    assert (split, ids, codes) == ("val", ["e"], [])
    assert "left out of training" in notes[0]
    split, ids, notes, codes = scored(Asked(split="all"), dataset(divided=True, train="abcd", val="e"), True)
    assert (ids, codes) == (list("abcde"), [])
    assert "trained on" in notes[0]


def test_all_splits_together_hold_each_image_once():
    data = dataset(train="abc", val="de", test="ec")
    split, ids, notes, _ = scored(Asked(split="all"), data, True)
    assert (split, ids) == ("all", list("abcde"))
    assert notes == ("All 5 images are scored: 3 splits together.",)
    assert scored(Asked(split="all"), dataset(all="ab", val="c"), True)[1] == ["a", "b"]


def test_images_of_the_same_name_in_two_splits_are_two():
    one, other = (Sample("a", Path(split) / "a.png", Path("m.png")) for split in ("train", "val"))
    data = msgspec.structs.replace(dataset(), splits={"train": (one,), "val": (other,)})
    assert scored(Asked(split="all"), data, True)[1] == ["train/a", "val/a"]


def test_changes_of_the_training_are_refused():
    assert Asked(overrides=("data.exif=ignore", "evaluation.batch_size=2")).changed(recipe("unet-resnet18")) != recipe(
        "unet-resnet18"
    )
    with pytest.raises(RecipeError, match=r"optimizer\.lr=1") as caught:
        Asked(overrides=("optimizer.lr=1",))
    assert caught.value.code == "R203"
    assert "data.*" in caught.value.message
