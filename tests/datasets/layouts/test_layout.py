import re
from pathlib import Path

from pixelwise.datasets.findings import finding
from pixelwise.datasets.layouts.layout import Layout, all_match, in_order, trained_on
from pixelwise.datasets.layouts.words import split_folders
from pixelwise.datasets.samples import Sample


def test_folders_of_splits_are_known_by_their_usual_names(tmp_path: Path):
    for name in ("Train", "validation", "testing", "extra"):
        (tmp_path / name).mkdir()
    assert {split: path.name for split, path in split_folders(tmp_path).items()} == {
        "train": "Train",
        "val": "validation",
        "test": "testing",
    }


def test_splits_come_as_train_val_test_then_by_name():
    assert list(in_order({"zoo": (), "test": (), "all": (), "val": (), "train": ()})) == [
        "train",
        "val",
        "test",
        "all",
        "zoo",
    ]


def layout(**fields) -> Layout:
    splits = {name: (Sample(f"{name}/a1", Path("a1"), None),) for name in ("train", "big", "val")}
    return Layout(name="x", description="", root=Path(), splits=splits, **fields)


def test_of_overlapping_splits_the_one_that_is_trained_on_stays():
    overlapping = layout(overlapping=("train", "big"))
    assert list(trained_on(overlapping, "big").splits) == ["big", "val"]
    assert list(trained_on(overlapping, "train").splits) == ["train", "val"]
    assert list(trained_on(overlapping, "other").splits) == ["train", "val"]
    assert list(trained_on(layout(), "big").splits) == ["train", "big", "val"]


def ids(found: Layout) -> dict[str, list[str]]:
    return {name: [sample.id for sample in samples] for name, samples in found.splits.items()}


def test_splits_joined_by_a_plus_are_one_and_gone_by_themselves():
    assert ids(trained_on(layout(), "train+val")) == {"train+val": ["train/train/a1", "val/val/a1"], "big": ["big/a1"]}
    assert ids(trained_on(layout(), "val+train"))["val+train"] == ["train/train/a1", "val/val/a1"]


def test_of_joined_splits_the_alternatives_are_gone_too():
    assert list(trained_on(layout(overlapping=("train", "big")), "big+val").splits) == ["big+val"]


def test_a_split_that_does_not_exist_cannot_be_joined():
    assert list(trained_on(layout(), "train+more").splits) == ["train", "big", "val"]


def test_problems_of_joined_splits_concern_who_opens_them():
    problems = {name: (finding(name, ""),) for name in ("train", "big", "val")}
    found = trained_on(layout(problems_of=problems, overlapping=("train", "big")), "train+val")
    assert [problem.code for problem in found.problems] == ["train", "val"]


def test_a_division_takes_the_place_of_all_splits():
    part = {"half": (Sample("a1", Path("a1"), None),), "rest": ()}
    assert ids(trained_on(layout(divisions={"half": part}), "half")) == {"half": ["a1"], "rest": []}
    assert list(trained_on(layout(divisions={"half": part}), "train").splits) == ["train", "big", "val"]


def test_problems_of_a_split_concern_only_who_opens_it():
    def codes(train_split: str, **fields) -> list[str]:
        problems = {name: (finding(name, ""),) for name in ("train", "big", "val", "missing")}
        found = trained_on(layout(problems_of=problems, problems=(finding("all", ""),), **fields), train_split)
        return [problem.code for problem in found.problems]

    assert codes("big", overlapping=("train", "big")) == ["all", "big", "val"]
    assert codes("missing", overlapping=("train", "big")) == ["all", "train", "val", "missing"]


def test_names_must_match_completely_and_there_must_be_some():
    assert all_match(["a1", "b/a2"], re.compile(r"a\d"))
    assert not all_match(["a1", "b/a2"], re.compile("a"))
    assert not all_match([], re.compile(".*"))
