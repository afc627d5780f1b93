from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.observer import SILENT
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.data_facts import DataFacts, read_data_facts, write_data_facts
from pixelwise.records.environment import read_environment, write_environment
from pixelwise.records.folds.cross_validation import read_cross_validation
from pixelwise.records.folds.division import HELD_OUT, division_of
from pixelwise.records.run_folder import read_recipe, write_recipe
from pixelwise.storage.locks import run_lock
from pixelwise.training.folds.beginning import begin, fold_overrides, refuse_leaks
from pixelwise.training.folds.options import CrossvalOptions
from pixelwise.training.runs import train
from tests.observers import Told

LAST = ("selection.weights=last", "selection.every_epochs=0")


def test_all_images_are_divided_whatever_their_split(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    begin(find(tiny_recipe), tiny_data, tmp_path / "out", CrossvalOptions(folds=3), SILENT)
    asked = read_cross_validation(tmp_path / "out")
    assert (asked.folds, asked.images, asked.left_out) == (3, 14, 0)
    divisions = [division_of(tmp_path / "out" / f"fold-{number}") for number in range(3)]
    held = [id for one in divisions if one is not None for id in one.held_out]
    assert len(held) == len(set(held)) == 14
    for one in divisions:
        assert one is not None
        # The tiny recipe selects its best weights: they are chosen by a part of the other folds.
        assert set(one.learned) == {"train", "val"}
        assert sum(map(len, one.splits.values())) == 14
        assert set(one.splits) == {"train", "val", HELD_OUT}


def test_a_recipe_that_takes_the_last_weights_learns_from_all_other_folds(
    tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    options = CrossvalOptions(folds=2, overrides=("selection.weights=last", "selection.every_epochs=0"))
    begin(find(tiny_recipe), tiny_data, tmp_path, options, SILENT)
    division = division_of(tmp_path / "fold-0")
    assert division is not None
    assert {name: len(ids) for name, ids in division.learned.items()} == {"train": 7}


def test_images_that_cannot_be_read_are_in_no_fold(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    wrong = np.full((48, 64), 7, np.uint8)
    Image.fromarray(wrong).save(data / "masks" / "train" / "03.png")
    with pytest.raises(DataError) as caught:
        begin(find(tiny_recipe), data, tmp_path / "refused", CrossvalOptions(folds=2), SILENT)
    assert caught.value.code == "D202"
    assert not (tmp_path / "refused" / "crossval.json").exists()
    options = CrossvalOptions(folds=2, overrides=('data.allow=["D202"]',))
    begin(find(tiny_recipe), data, tmp_path / "out", options, SILENT)
    assert read_cross_validation(tmp_path / "out").left_out == 1
    ids = [id for fold in (0, 1) for id in held_out_of(tmp_path / "out" / f"fold-{fold}")]
    assert len(ids) == 13
    assert "train/03" not in ids


def held_out_of(run: Path) -> tuple[str, ...]:
    division = division_of(run)
    assert division is not None
    return division.held_out


def test_splits_of_a_fold_do_not_have_the_same_name():
    recipe = apply_overrides(find("unet"), ["data.train_split=val"])
    assert fold_overrides(recipe) == ('evaluation.split="held-out"', 'selection.split="selection"')
    assert fold_overrides(find("unet"))[1] == 'selection.split="val"'


def test_weights_and_teachers_that_know_the_images_are_refused(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    copy = shutil.copytree(tiny_data, tmp_path / "copy")
    fewer = shutil.copytree(tiny_data, tmp_path / "fewer")
    removed = next((fewer / "images" / "train").iterdir())
    removed.unlink()
    next((fewer / "masks" / "train").glob(f"{removed.stem}.*")).unlink()
    relabelled = shutil.copytree(tiny_data, tmp_path / "relabelled")
    shutil.copyfile(relabelled / "masks" / "train" / "00.png", relabelled / "masks" / "train" / "01.png")
    renamed = shutil.copytree(tiny_data, tmp_path / "renamed")
    said = (renamed / "dataset.toml").read_text("utf-8")
    (renamed / "dataset.toml").write_text(said.replace('"ball"', '"globe"'), "utf-8")
    assert "globe" in (renamed / "dataset.toml").read_text("utf-8")
    other = shutil.copytree(tiny_data, tmp_path / "other")
    for path in (other / "images").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    for override in (f"initialize.run={tiny_run}", f"distillation.teacher={tiny_run}"):
        recipe = apply_overrides(find("unet"), [override])
        refuse_leaks(recipe, other)
        for data in (tiny_data, copy, fewer, relabelled, renamed):
            with pytest.raises(RecipeError, match="its weights know the images") as caught:
                refuse_leaks(recipe, data)
            assert caught.value.code == "R311"
    with pytest.raises(CheckpointError, match="is not a run folder"):
        refuse_leaks(apply_overrides(find("unet"), [f"initialize.run={tmp_path}"]), tiny_data)


def test_weights_of_an_encoder_and_of_ancestors_know_the_images_too(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    checkpoint = next((tiny_run / "checkpoints").iterdir())
    later = tmp_path / "later"  # a run on other data that began with the run on this data
    shutil.copytree(tiny_run, later)
    write_data_facts(later, msgspec.structs.replace(read_data_facts(later), fingerprint="of other data"))
    environment = read_environment(later)
    elsewhere = msgspec.structs.replace(environment.arguments, data=str(tmp_path / "elsewhere"))
    write_environment(later, msgspec.structs.replace(environment, arguments=elsewhere))
    refuse_leaks(apply_overrides(find("unet"), [f"initialize.run={later}"]), tiny_data)
    write_recipe(later, apply_overrides(read_recipe(later), [f"initialize.run={tiny_run}"]))
    for override, named in (
        (f"initialize.encoder={tiny_run}", str(tiny_run)),
        (f"initialize.encoder={checkpoint / 'model.safetensors'}", str(checkpoint / "model.safetensors")),
        (f"initialize.run={later}", f"{tiny_run}, from which {later} has learned,"),
        (f"distillation.teacher={later}", f"{tiny_run}, from which {later} has learned,"),
    ):
        with pytest.raises(RecipeError, match="its weights know the images") as caught:
            refuse_leaks(apply_overrides(find("unet"), [override]), tiny_data)
        assert (caught.value.code, caught.value.message.startswith(f"{named} was trained on")) == ("R311", True)
    # The weights of the whole network take the place of those of the encoder.
    other = shutil.copytree(later, tmp_path / "other")
    write_recipe(other, apply_overrides(read_recipe(other), ["initialize.run=none"]))
    refuse_leaks(
        apply_overrides(find("unet"), [f"initialize.run={other}", f"initialize.encoder={tiny_run}"]), tiny_data
    )


def test_weights_that_know_generated_images_are_refused(tiny_run: Path, tmp_path: Path):
    town = ("data.town_images=[2,1,1]", "data.town_size=[32,48]")
    run = shutil.copytree(tiny_run, tmp_path / "run")
    dataset = open_dataset(apply_overrides(find("town-demo"), town).data, None)
    images = {split: len(dataset.splits[split]) for split in ("train", "val")}
    facts = DataFacts(splits=tuple(images), images=images, fingerprint=fingerprint(dataset, tuple(images)))
    write_data_facts(run, facts)
    environment = read_environment(run)
    generated = msgspec.structs.replace(environment.arguments, data=None)
    write_environment(run, msgspec.structs.replace(environment, arguments=generated))
    begin_with = f"initialize.run={run}"
    with pytest.raises(RecipeError, match="was trained on the same generated images"):
        refuse_leaks(apply_overrides(find("town-demo"), [*town, begin_with]), None)
    refuse_leaks(apply_overrides(find("town-demo"), [*town, begin_with, "data.town_seed=5"]), None)


def test_a_fold_is_never_left_without_images_that_can_be_read(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    unreadable = sorted((data / "masks").rglob("*.png"))[3:12]
    for path in unreadable:
        Image.fromarray(np.full((48, 64), 7, np.uint8)).save(path)
    options = CrossvalOptions(folds=5, overrides=('data.allow=["D202"]', *LAST))
    codes: list[str] = []
    told = Told(warn=lambda code, message: codes.append(code))
    begin(find(tiny_recipe), data, tmp_path / "out", options, told)
    assert [len(held_out_of(tmp_path / "out" / f"fold-{fold}")) for fold in range(5)] == [1] * 5
    assert codes.count("D202") == 1
    with pytest.raises(DataError, match=r"5 groups of images .* for 6 folds") as caught:
        begin(find(tiny_recipe), data, tmp_path / "more", msgspec.structs.replace(options, folds=6), SILENT)
    assert caught.value.code == "D221"


@pytest.mark.heavy
def test_nothing_of_the_images_that_are_held_out_reaches_the_weights(
    tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    """A fold ends with the same bits if the images that it holds out are others, of another size, with other labels."""
    weights = []
    recipe = find(tiny_recipe)  # with class weights, and the best of its weights
    begin(recipe, tiny_data, tmp_path / "first", CrossvalOptions(folds=2), SILENT)
    division = division_of(tmp_path / "first" / "fold-0")
    assert division is not None
    other = tmp_path / "other"
    shutil.copytree(tiny_data, other)
    random, changed = np.random.default_rng(0), 0
    for path in sorted((other / "images").rglob("*.png")):
        id = path.relative_to(other / "images").with_suffix("").as_posix()
        if {id, id.rpartition("/")[2]} & set(division.held_out):
            changed += 1
            Image.fromarray(random.integers(0, 255, (96, 128, 3), np.uint8)).save(path)
            Image.fromarray(random.integers(0, 3, (96, 128), np.uint8)).save(other / "masks" / f"{id}.png")
    assert changed >= len(division.held_out) == 7
    for name, data in (("first", tiny_data), ("second", other)):
        run = tmp_path / name / "fold-0"
        if name == "second":
            run.mkdir(parents=True)
            shutil.copy(tmp_path / "first" / "fold-0" / "division.json", run)
        train(recipe, data, run, overrides=fold_overrides(recipe), threads=1, device="cpu")
        with run_lock(run):
            weights.append(
                {path.parent.name: path.read_bytes() for path in run.glob("checkpoints/*/model.safetensors")}
            )
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("group", "series", "groups"), [(None, 3, 14), ("^[^_]+", 0, 3)])
def test_series_that_folds_divide_are_said(
    group: str | None, series: int, groups: int, tiny_recipe: Path, tiny_data: Path, tmp_path: Path
):
    data, heard = shutil.copytree(tiny_data, tmp_path / "data"), []
    for path in [*data.rglob("*.png")]:
        path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
    told = Told(warn=lambda code, message: heard.append(code))
    last = ("selection.weights=last", "selection.every_epochs=0")  # three groups leave none to choose weights by
    begin(find(tiny_recipe), data, tmp_path / "out", CrossvalOptions(folds=2, group=group, overrides=last), told)
    asked = read_cross_validation(tmp_path / "out")
    assert (asked.series, asked.groups, asked.images) == (series, groups, 14)
    assert heard.count("W265") == bool(series)


def test_what_is_in_several_folds_has_a_way_out_for_folds(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    for path in [*data.rglob("*.png")]:
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    with pytest.raises(DataError) as caught:
        begin(find(tiny_recipe), data, tmp_path / "out", CrossvalOptions(folds=2), SILENT)
    assert caught.value.code == "D133"
    assert "of fold-" not in caught.value.help
    assert "--group PATTERN" in caught.value.help
    # A pattern that finds the same in the names of an image and of its copy: its number.
    begin(find(tiny_recipe), data, tmp_path / "out", CrossvalOptions(folds=2, group=r"\d+"), SILENT)
    assert read_cross_validation(tmp_path / "out").images == 28
