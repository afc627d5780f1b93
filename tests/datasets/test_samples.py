from pathlib import Path

import pytest

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data


def dataset() -> Dataset:
    one = Sample("a", Path("a.png"), Path("a_mask.png"))
    return Dataset(
        name="folder",
        root=Path("data"),
        classes=("road",),
        palette=((0, 0, 0),),
        label_table=LabelTable(),
        splits={"train": (one,), "val": ()},
        reading=Reading(),
    )


def test_samples_of_a_split_are_returned():
    assert [sample.id for sample in dataset().samples("train")] == ["a"]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_missing_or_empty_split_names_those_that_exist(split: str):
    with pytest.raises(DataError, match=rf"'{split}'.*train \(1\)") as caught:
        dataset().samples(split)
    assert caught.value.code == "D221"


def test_reading_takes_every_option_from_the_recipe():
    data = Data(exif="ignore", alpha="black", input_range=(0, 4095), max_pixels=7, mask_resize="nearest")
    assert Reading.of(data) == Reading(
        exif="ignore", alpha="black", input_range=(0, 4095), max_pixels=7, mask_resize="nearest"
    )


def test_one_line():
    assert repr(dataset()) == "<Dataset data (folder); 1 train, 0 val; 1 class: road>"
