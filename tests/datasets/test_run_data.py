import shutil
from pathlib import Path

import msgspec
import pytest

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.run_data import is_own_data, knows_its_data, open_run_data
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.records.data_facts import DataFacts, read_data_facts, write_data_facts
from pixelwise.records.environment import Arguments, Environment, read_environment, write_environment
from pixelwise.records.folds.division import Division, write_division
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


def renamed(data: Path, folder: Path, names: str) -> Path:
    shutil.copytree(data, folder)
    (folder / "dataset.toml").write_text(f"classes = [{names}]\n", "utf-8")
    return folder


def told_by(run: Path, data: Path | None, **options) -> list[str]:
    codes: list[str] = []
    open_run_data(run, read_recipe(run), data, lambda code, message: codes.append(code), **options)
    return codes


def test_the_names_of_another_folder_are_compared_with_the_runs(run: Path, tiny_data: Path, tmp_path: Path):
    assert told_by(run, None) == []
    assert told_by(run, tiny_data) == []
    assert told_by(run, renamed(tiny_data, tmp_path / "swapped", '"ball", "box", "ground"')) == ["W410"]
    with pytest.raises(CheckpointError) as caught:
        told_by(run, renamed(tiny_data, tmp_path / "others", '"a", "b"'))
    assert caught.value.code == "K406"


def test_names_that_changed_in_the_runs_own_folder_decide(run: Path, tiny_data: Path, tmp_path: Path):
    own = renamed(tiny_data, tmp_path / "own", '"ball", "box", "ground"')
    environment = read_environment(run)
    arguments = msgspec.structs.replace(environment.arguments, data=str(own))
    write_environment(run, msgspec.structs.replace(environment, arguments=arguments))
    assert told_by(run, None) == ["W410"]
    # A run of an earlier version did not record what its data said.
    write_data_facts(run, msgspec.structs.replace(read_data_facts(run), naming=None))
    assert told_by(run, None) == []


def test_overrides_say_what_the_data_says_otherwise(run: Path, tiny_data: Path, tmp_path: Path):
    other = renamed(tiny_data, tmp_path / "others", '"a", "b", "c"')
    names = "data.classes=[ground,box,ball]"
    assert told_by(run, other, overrides=[names]) == ["W415"]
    assert told_by(run, other, overrides=["data.classes=[box,ground,ball]"]) == ["W415", "W410"]
    swapped = renamed(tiny_data, tmp_path / "swapped", '"ball", "box", "ground"')
    with pytest.raises(RecipeError, match=r"class 0 ground.*says that it is ball"):
        told_by(run, swapped, overrides=[names])
    found = open_run_data(run, read_recipe(run), other, overrides=["data.label_map={0 = 2, 1 = 255}"])
    assert found.label_table.ids == {0: 2, 1: 255, 255: 255}
    assert found.classes == ("ground", "box", "ball")


def test_a_run_knows_its_own_data_by_folder_and_content(run: Path, tiny_data: Path, tmp_path: Path):
    recipe = read_recipe(run)
    own = open_run_data(run, recipe, tiny_data)
    assert is_own_data(run, own, None)
    assert is_own_data(run, own, tiny_data)
    moved = Path(shutil.copytree(tiny_data, tmp_path / "moved"))
    assert is_own_data(run, open_run_data(run, recipe, moved), moved)
    (moved / "images" / "train" / "00.png").write_bytes((moved / "images" / "train" / "01.png").read_bytes())
    assert is_own_data(run, open_run_data(run, recipe, moved), moved) is False
    write_data_facts(run, DataFacts())
    assert is_own_data(run, open_run_data(run, recipe, moved), moved) is None


def test_a_fold_knows_all_images_that_were_divided(run: Path, tiny_data: Path, tmp_path: Path):
    recipe = read_recipe(run)
    own = open_run_data(run, recipe, tiny_data)
    every = ids(own.with_all(), "all")
    write_division(run, Division(learned={"train": tuple(every[3:])}, held_out=tuple(every[:3])))
    divided = open_run_data(run, recipe, tiny_data)
    facts = DataFacts(splits=("train",), images={"train": len(every) - 3}, fingerprint=fingerprint(divided, ["train"]))
    write_data_facts(run, facts)
    moved = Path(shutil.copytree(tiny_data, tmp_path / "moved"))
    for dataset in (open_dataset(recipe.data, moved), open_run_data(run, recipe, moved)):
        assert is_own_data(run, dataset, moved)
    assert {name: len(samples) for name, samples in open_run_data(run, recipe, moved).splits.items()} == {
        "train": len(every) - 3,
        "held-out": 3,
    }
    for kind in ("images", "masks"):
        shutil.copy(moved / kind / "val" / "00.png", moved / kind / "val" / "new.png")
    other = open_run_data(run, recipe, moved)
    assert set(other.splits) == {"train", "val", "test"}
    assert is_own_data(run, other, moved) is False
