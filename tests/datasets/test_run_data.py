import shutil
from pathlib import Path

import msgspec
import pytest

from pixelwise.datasets.run_data import knows_its_data, open_run_data
from pixelwise.errors import DataError, RecipeError
from pixelwise.records.data_facts import read_data_facts, write_data_facts
from pixelwise.records.environment import Arguments, Environment, read_environment, write_environment
from pixelwise.records.run_folder import read_recipe


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A run that left out a pair of its test split."""
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    write_data_facts(run, msgspec.structs.replace(read_data_facts(run), unusable={"test": ("01",)}))
    return run


def ids(dataset, split: str) -> list[str]:
    return [sample.id for sample in dataset.samples(split)]


def test_pairs_that_training_left_out_are_left_out_of_the_runs_own_data_alone(run: Path, tiny_data: Path):
    recipe = read_recipe(run)
    assert ids(open_run_data(run, recipe), "test") == ["00", "02"]
    assert ids(open_run_data(run, recipe), "val") == ["00", "01", "02"]
    assert ids(open_run_data(run, recipe, tiny_data), "test") == ["00", "01", "02"]


def test_a_run_that_does_not_know_its_data_has_to_be_told(run: Path, tiny_data: Path):
    recipe = read_recipe(run)
    assert knows_its_data(run, recipe)
    write_environment(run, Environment(arguments=Arguments(data=None, device="cpu")))
    assert not knows_its_data(run, recipe)
    with pytest.raises(DataError) as caught:
        open_run_data(run, recipe)
    assert caught.value.code == "D222"
    assert ids(open_run_data(run, recipe, tiny_data), "train")


def test_synthetic_data_is_always_known(tmp_path: Path, tiny_run: Path):
    recipe = read_recipe(tiny_run)
    town = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, dataset="town"))
    assert knows_its_data(tmp_path, town)
    assert not knows_its_data(tmp_path, recipe)


def test_a_format_of_a_package_that_is_not_installed_names_it(run: Path, tiny_data: Path):
    recipe = read_recipe(run)
    recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, dataset="acme-archives"))
    environment = read_environment(run)
    write_environment(run, msgspec.structs.replace(environment, plugins={"acme-formats": "2.0"}))
    for folder in (None, tiny_data):
        with pytest.raises(RecipeError, match="acme-archives") as caught:
            open_run_data(run, recipe, folder)
        assert (caught.value.code, caught.value.help) == ("R273", "pip install acme-formats==2.0")
