from pathlib import Path

from pixelwise.datasets.layouts.lists.divisions import divided_by_lists
from pixelwise.datasets.layouts.lists.rows import Row
from pixelwise.datasets.samples import Sample

ROOT = Path("/data")


def divided(keys: str, **lists: str) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Split -> ids, and code and message of the problems, for names separated by commas."""
    samples = [Sample(key, ROOT / f"images/{key}.png", ROOT / f"masks/{key}.png") for key in keys.split(",")]
    rows = {
        split: [
            (ROOT / f"{split}.txt", Row(number, name, name)) for number, name in enumerate(names.split(","), 1) if name
        ]
        for split, names in lists.items()
    }
    splits, problems = divided_by_lists(samples, rows, ROOT)
    return {split: [one.id for one in found] for split, found in splits.items()}, [
        (p.code, p.message) for p in problems
    ]


def test_names_choose_the_samples_in_the_order_of_their_ids():
    assert divided("a,b,c", train="c.png,images/a", val="b,b") == ({"train": ["a", "c"], "val": ["b"]}, [])


def test_lines_that_name_nothing_are_d220_with_the_nearest_name():
    splits, ((code, message),) = divided("street1,street2,b", train="street1,stret2,x", val="b")
    assert splits == {"train": ["street1"], "val": ["b"]}
    assert code == "D220"
    assert all(part in message for part in ("2 of 3 names", "train.txt: line 2, 'stret2'", "street2.png"))


def test_a_list_that_names_nothing_is_d232_and_an_empty_one_d221():
    splits, problems = divided("a,b", train="a,b", val="x,y", test="")
    assert splits == {"train": ["a", "b"], "val": [], "test": []}
    assert [code for code, _ in problems] == ["D232", "D221"]
    assert all(part in problems[0][1] for part in ("val: none of the 2 names", "val.txt: line 1, 'x'"))


def test_names_with_other_folders_are_w225():
    splits, ((code, message),) = divided("a,b", train="cam3/a", val="b")
    assert (splits, code) == ({"train": ["a"], "val": ["b"]}, "W225")
    assert "/data/images/a.png for cam3/a" in message


def test_the_folder_of_the_split_decides_between_two_images():
    assert divided("train/a,val/a", train="a", val="a")[0] == {"train": ["train/a"], "val": ["val/a"]}
