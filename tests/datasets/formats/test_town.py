from pathlib import Path

from pixelwise.datasets.format import format_of
from pixelwise.datasets.formats.town import town_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.town.scenes import write_town
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.schema.recipe import Data

SMALL = Data(dataset="town", town_images=(2, 1, 1), town_size=(32, 48))


def test_a_town_in_a_folder_of_its_own_is_opened_there(tmp_path: Path):
    root = write_town(tmp_path / "town", SMALL)
    dataset = open_dataset(SMALL, root)
    assert (dataset.name, dataset.root, dataset.classes) == ("town", root, CAMVID.names)
    assert {split: len(found) for split, found in dataset.splits.items()} == {"train": 2, "val": 1, "test": 1}


def test_without_a_folder_it_is_drawn_into_the_cache(own_cache: Path):
    dataset = open_dataset(SMALL, None)
    assert dataset.root.is_relative_to(own_cache)
    assert len(dataset.samples("train")) == 2
    assert open_dataset(SMALL, None).root == dataset.root


def test_a_folder_of_another_kind_is_none(tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    assert town_layout(tmp_path) is None


def test_it_has_to_be_named():
    assert format_of("town").recognise is None
