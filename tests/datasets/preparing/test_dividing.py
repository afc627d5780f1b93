import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.layouts.splits import groups_of
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.dividing import (
    all_samples,
    finish_lists,
    split,
    split_samples,
    warn_of_divided_series,
    write_lists,
)
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError, RecipeError, RunLockedError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import atomic
from pixelwise.storage.locks import writing_alone
from tests.observers import Told


def samples_of(ids: list[str]) -> list[Sample]:
    return [Sample(id, Path(f"/d/images/{id}.png"), Path(f"/d/masks/{id}.png")) for id in ids]


VIDEOS = [f"{video}_{frame:04d}" for video in "abcdefghijklmnopqrst" for frame in range(10)]


def ids_of(divided: dict[str, list[Sample]]) -> dict[str, list[str]]:
    return {name: [sample.id for sample in found] for name, found in divided.items()}


def test_every_image_is_in_one_split_and_videos_stay_together():
    found = ids_of(split_samples(samples_of(VIDEOS), val=0.2, test=0.2))
    assert list(found) == ["train", "val", "test"]
    assert sorted(id for ids in found.values() for id in ids) == sorted(VIDEOS)
    videos = {name: {id[0] for id in ids} for name, ids in found.items()}
    assert not videos["train"] & videos["val"]
    assert not videos["train"] & videos["test"]
    assert not videos["val"] & videos["test"]


@pytest.mark.parametrize(("val", "test", "numbers"), [(0.2, 0.1, (400, 200)), (0.05, 0, (100,)), (0, 0.333, (666,))])
def test_shares_are_met_exactly_and_the_same_everywhere(val: float, test: float, numbers: tuple[int, ...]):
    ids = [f"photo{number}x" for number in range(2000)]
    found = ids_of(split_samples(samples_of(ids), val=val, test=test))
    assert tuple(len(members) for name, members in found.items() if name != "train") == numbers
    assert found == ids_of(split_samples(samples_of(ids)[::-1], val=val, test=test))


def test_without_a_share_validation_has_five_images_at_least():
    def numbers(images: int, **options: float) -> list[int]:
        return [len(ids) for ids in split_samples(samples_of([f"p{i}x" for i in range(images)]), **options).values()]

    assert numbers(20) == [15, 5]
    assert numbers(20, val=0.1) == [18, 2]
    assert numbers(20, test=0.2) == [11, 5, 4]


def test_another_seed_is_another_division():
    first, second = (ids_of(split_samples(samples_of(VIDEOS), seed=seed)) for seed in (0, 1))
    assert first["val"] != second["val"]
    assert len(first["val"]) == len(second["val"]) == 40


def test_classes_are_read_from_the_masks_and_divided(make_folder: Callable[..., Path], tmp_path: Path):
    masks = {f"p{number}x": np.array([[0, int(number < 2) * 2, 1]], np.uint8) for number in range(20)}
    root = make_folder(masks)
    division = split(root, output=tmp_path / "lists")
    held = [sum(f"p{n}x" in division.lists[name].read_text() for n in (0, 1)) for name in ("train", "val")]
    assert held == [1, 1]
    assert division.missing == {}
    alone = split(root, ["data.label_map={0 = 0, 1 = 1, 2 = 2}"], test=0.2, output=tmp_path / "three")
    assert sorted(alone.missing.values()) == [("class_2",)]


def test_masks_that_cannot_be_read_do_not_stop_the_division(make_folder: Callable[..., Path], tmp_path: Path):
    root = make_folder({f"p{number}x": np.array([[0, 1]], np.uint8) for number in range(10)})
    next((root / "masks").glob("*.png")).write_bytes(b"no mask")
    assert sum(split(root, output=tmp_path / "lists").pairs.values()) == 10


def test_a_group_can_be_named_by_a_regular_expression():
    ids = [f"{drive}_{town}_{i}" for drive in "12" for town in ("york", "bath", "hull") for i in range(5)]
    found = ids_of(split_samples(samples_of(ids), val=0.3, group="_([a-z]+)_"))
    assert {id.split("_")[1] for id in found["val"]}.isdisjoint({id.split("_")[1] for id in found["train"]})
    assert found["val"]
    assert found["train"]


def test_no_split_is_empty_while_there_are_groups():
    for number in range(3, 9):
        found = split_samples(samples_of([f"x{i}y" for i in range(number)]), val=0.05, test=0.05)
        assert all(found.values())


def test_mistakes_are_named():
    with pytest.raises(RecipeError, match=r"0\.6 .* 0\.4") as caught:
        split_samples(samples_of(VIDEOS), val=0.6, test=0.4)
    assert caught.value.code == "R203"
    with pytest.raises(DataError, match=r"\b1\b.*\b2\b") as few:
        split_samples(samples_of(VIDEOS), val=0.2, group="_")
    assert few.value.code == "D221"


def test_lists_open_as_the_data_set_they_divide(make_folder: Callable[..., Path]):
    root = make_folder({f"a {number}": np.array([[0, 1]], np.uint8) for number in range(10)})
    dataset = open_dataset(Data(), root)
    divided = split_samples(all_samples(dataset), val=0.3, group=".*")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.png")}
    paths = write_lists(divided, root)
    assert [path.name for path in paths] == ["train.txt", "val.txt"]
    assert paths[1].read_text().splitlines()[0].count("\t") == 1
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.png")} == before
    for path, found in zip(paths, divided.values(), strict=True):
        for line, sample in zip(path.read_text().splitlines(), found, strict=True):
            image, mask = line.split("\t")
            assert (root / image).samefile(sample.image_path)
            assert (root / mask).samefile(sample.mask_path or "")
    assert write_lists(divided, root) == paths
    other = {"train": divided["val"], "val": divided["train"]}
    with pytest.raises(DataError, match=r"train\.txt") as existing:
        write_lists(other, root)
    assert existing.value.code == "D225"
    write_lists(other, root, replace=True)
    with pytest.raises(DataError) as tab:
        write_lists({"val": samples_of(["a\tb"])}, root / "other")
    assert tab.value.code == "D130"


def test_a_folder_is_divided_by_one_call(make_folder: Callable[..., Path], tmp_path: Path):
    root = make_folder({f"{number}x": np.array([[0, 1]], np.uint8) for number in range(10)})
    division = split(root, val=0.3, output=tmp_path / "lists")
    assert division.lists == {name: tmp_path / "lists" / f"{name}.txt" for name in ("train", "val")}
    assert sum(division.pairs.values()) == 10
    for name, path in division.lists.items():
        assert len(path.read_text().splitlines()) == division.pairs[name]
    assert split(root, val=0.3, output=tmp_path / "lists") == division
    with pytest.raises(DataError) as caught:
        split(root, val=0.5, output=tmp_path / "lists")
    assert caught.value.code == "D225"
    assert split(root, val=0.5, output=tmp_path / "lists", force=True).pairs == {"train": 5, "val": 5}


@pytest.mark.parametrize("renamed", [0, 1, 2, 3])
def test_a_first_call_that_is_killed_is_made_again(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, renamed: int
):
    root = make_folder({f"train/{number}": np.array([[0, 1]], np.uint8) for number in range(20)})
    lists = split(root, val=0.3, test=0.2, output=root / "whole").lists
    kill_after(renamed, monkeypatch, lambda: split(root, val=0.3, test=0.2))
    done = split(root, val=0.3, test=0.2)
    for name, path in done.lists.items():
        assert path.read_text().splitlines() == lists[name].read_text().replace("../", "").splitlines()
    assert not list(root.glob(".pixelwise*.json"))


def kill_after(renamed: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let a call end after so many files have got their names."""
    left = [renamed]

    def replace(source: Path, target: Path) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        os.replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "replace_file", replace)
        with pytest.raises(KeyboardInterrupt):
            work()


@pytest.mark.parametrize("renamed", [0, 1, 2, 3])
def test_a_call_that_is_killed_leaves_no_lists_of_two_divisions(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, renamed: int
):
    root = make_folder({f"{number}x": np.array([[0, 1]], np.uint8) for number in range(20)})
    first = split(root, val=0.3, test=0.2)
    shown = {name: path.read_bytes() for name, path in first.lists.items()}
    kill_after(renamed, monkeypatch, lambda: split(root, val=0.5, test=0.2, force=True))
    if (root / "train.txt").exists():
        assert shown == {name: path.read_bytes() for name, path in first.lists.items()}
    else:
        with pytest.raises(DataError, match="interrupted") as caught:
            open_dataset(Data(), root)
        assert caught.value.code == "D232"
    done = split(root, val=0.5, test=0.2, force=True)
    assert done.pairs == {"train": 6, "val": 10, "test": 4}
    assert {name: len(path.read_text().splitlines()) for name, path in done.lists.items()} == done.pairs
    assert not list(root.glob(".pixelwise*.json"))


def test_lists_that_another_process_is_writing_are_not_read(make_folder: Callable[..., Path]):
    root = make_folder({f"{number}x": np.array([[0, 1]], np.uint8) for number in range(10)})
    with writing_alone(root / "lists"):
        (root / "val.txt").write_text("images/0x.png\tmasks/0x.png\n")
        with pytest.raises(RunLockedError):
            split(root, val=0.3)
    with pytest.raises(DataError) as caught:
        split(root, val=0.3)
    assert caught.value.code == "D232"


def test_only_lists_of_splits_are_finished(make_folder: Callable[..., Path]):
    root = make_folder({"a": np.array([[0, 1]], np.uint8)})
    (root / ".pixelwise-division.json").write_text('{"texts": {"../train": "stolen"}, "replaces": true}')
    finish_lists(root)
    assert not (root.parent / "train.txt").exists()


def test_overrides_say_how_the_folder_is_read(make_folder: Callable[..., Path]):
    root = make_folder({"train/a": np.array([[0, 1]], np.uint8)})
    with pytest.raises(DataError) as caught:
        split(root, ["data.dataset=cityscapes"])
    assert caught.value.code == "D222"


def test_lists_have_slashes_and_refuse_what_would_be_read_as_one(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    pair = Sample("a", tmp_path / "images" / "a.png", tmp_path / "masks" / "a.png")
    (path,) = write_lists({"train": [pair]}, tmp_path / "deep")
    assert path.read_bytes() == b"../images/a.png\t../masks/a.png\n"
    odd = Sample("b", tmp_path / "images" / "a\\b.png", tmp_path / "masks" / "a.png")
    with pytest.raises(DataError) as caught:
        write_lists({"train": [odd]}, tmp_path / "deep", replace=True)
    assert caught.value.code == "D130"


@pytest.mark.parametrize(
    ("names", "group", "series"),
    [
        ([f"{drive}_{frame:04d}" for drive in ("0001TP", "0006R0", "Seq05VD") for frame in range(12)], None, 3),
        ([f"{drive}_{frame:04d}" for drive in ("0001TP", "0006R0", "Seq05VD") for frame in range(12)], "^[^_]+", 0),
        ([f"map_{tile}_{part}" for tile in range(12) for part in range(3)], None, 0),  # kept together
        ([f"{drive}{number}_{frame}" for drive in "a" for number in range(3) for frame in range(9)], None, 3),
        ([letter * 3 for letter in "abcdefghijklmnop"], None, 0),
        ([f"{number:03d}" for number in range(30)], None, 0),
    ],
)
def test_series_that_are_divided_are_said(names: list[str], group: str | None, series: int):
    samples, heard = samples_of(names), []
    groups = groups_of(names, group, 0.2)
    told = Told(warn=lambda code, message: heard.append((code, message)))
    assert warn_of_divided_series(samples, groups.values(), group, told) == series
    assert [code for code, _ in heard] == ["W265"] * bool(series)
    assert all(f"show {series} series" in message for _, message in heard)
    if series:
        train, val = ids_of(split_samples(samples, val=0.2)).values()
        assert {name.partition("_")[0] for name in train} & {name.partition("_")[0] for name in val}


def test_the_command_says_which_series_it_divides(tiny_data: Path, tmp_path: Path):
    flat, heard = tmp_path / "flat", []
    for part in ("images", "masks"):
        (flat / part).mkdir(parents=True)
        for file in (tiny_data / part).rglob("*.png"):
            shutil.copy(file, flat / part / f"{file.parent.name}_{file.name}")
    told = Told(warn=lambda code, message: heard.append(code))
    split(flat, observer=told)
    assert heard == ["W265"]
    split(flat, group="^[^_]+", force=True, observer=told)
    assert heard == ["W265"]
