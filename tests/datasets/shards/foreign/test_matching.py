from pathlib import Path

from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.shards.foreign.matching import Matched, Picture, matched, shown_key, shown_name, splits_of
from pixelwise.datasets.shards.index import Placed

BASE = Path("photos")


def pictures(*names: str) -> list[Picture]:
    """Pictures by `TAR/KEY.png` for images and `TAR/KEY.mask` for masks."""
    found = []
    for position, name in enumerate(names):
        container, _, rest = name.partition("/")
        key, _, ending = rest.rpartition(".")
        found.append(Picture(key, container, Placed(rest, position, 1, bytes(32)), ending == "mask"))
    return found


def of(*names: str, labelled: bool = True) -> Matched:
    found = pictures(*names)
    splits, problems = splits_of(list(dict.fromkeys(one.container for one in found)), BASE)
    return matched(found, splits, BASE, labelled=labelled, problems=problems)


def ids(found: Matched) -> dict[str, list[str]]:
    return {split: [one.id for one in samples] for split, samples in found.splits.items()}


def test_names_give_the_splits():
    splits, problems = splits_of(["train-0.tar", "a/validation/0.tar", "data/test-00000-of-00001.parquet"], BASE)
    assert list(splits.values()) == ["train", "val", "test"]
    assert problems == []
    assert splits_of(["0.tar", "1.tar"], BASE) == ({"0.tar": "train", "1.tar": "train"}, [])
    splits, (problem,) = splits_of(["train.tar", "extra.tar"], BASE)
    assert splits == {"train.tar": "train"}
    assert (problem.code, problem.files) == ("W216", (str(BASE / "extra.tar"),))


def test_pairs_are_sorted_by_id():
    found = of(
        "train.tar/b.png", "train.tar/b.mask", "train.tar/a.mask", "train.tar/a.png", "val.tar/c.png", "val.tar/c.mask"
    )
    assert ids(found) == {"train": ["a", "b"], "val": ["c"]}
    sample = found.splits["train"][0]
    assert sample.mask_path is not None
    assert (found.places[sample.image_path][1].offset, found.places[sample.mask_path][1].offset) == (3, 2)


def test_keys_of_several_tars_are_told_apart():
    names = [f"train-{tar}.tar/{key}.{kind}" for tar in (0, 1) for key in "ab" for kind in ("png", "mask")]
    found = of(*names, "val.tar/a.png", "val.tar/a.mask")
    assert ids(found) == {"train": ["train-0/a", "train-0/b", "train-1/a", "train-1/b"], "val": ["a"]}
    assert not found.problems


def test_data_without_splits_is_divided_and_folders_within_tars_are_splits():
    names = [f"x.tar/{number:02}.{kind}" for number in range(20) for kind in ("png", "mask")]
    found = of(*names)
    assert isinstance(found.splits, Divided)
    assert {split: len(some) for split, some in found.splits.items()} == {"train": 15, "val": 5}
    found = of("x.tar/train/a.png", "x.tar/train/a.mask", "x.tar/val/b.png", "x.tar/val/b.mask")
    assert ids(found) == {"train": ["train/a"], "val": ["val/b"]}


def test_pictures_without_a_partner_are_findings_as_in_folders():
    found = of("train.tar/a.png", "train.tar/a.mask", "train.tar/b.png", "val.tar/c.png")
    assert ids(found) == {"train": ["a"], "val": []}
    assert [problem.code for problem in found.problems] == ["D220", "W220"]


def test_without_masks_every_image_is_a_sample():
    found = of("x.tar/a.png", "x.tar/a.jpg", "x.tar/b.png", "x.tar/b.mask", labelled=False)
    assert ids(found) == {"train": ["a", "a.png", "b"]}
    assert not isinstance(found.splits, Divided)


def test_keys_and_names_stay_within_the_data():
    assert shown_key("/a/../b/./c\n") == "a/b/c\\n"
    assert shown_name("../a:b\\c?.jpg") == "a_b_c_.jpg"
    assert shown_name("..") == "_"
    assert shown_key("u\u0308") == "\u00fc"
