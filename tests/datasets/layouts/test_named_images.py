"""Which image a written path means: hand-made cases, then a search over all pairs as the oracle."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.named_images import NamedImages, Wanted, file_name

ROOT = Path("/data/street")
PATHS = ("a.jpg", "images/train/b.png", "images/train/c.png", "images/val/c.png", "images/val/my d.png", "x/é.png")


def images(*paths: str, stems: bool = False) -> NamedImages:
    return NamedImages([Entry(path, ROOT / path) for path in paths or PATHS], ROOT, stems=stems)


def wanted(name: str, *near: str, split: str | None = None) -> Wanted:
    return Wanted((name,), ROOT / "annotations" / "all.json", tuple(ROOT / folder for folder in near), split)


def found(name: str, *near: str, split: str | None = None) -> str | None:
    entry = images().find(wanted(name, *near, split=split)).entry
    return entry and entry.key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("b.png", "images/train/b.png"),
        ("val/c.png", "images/val/c.png"),
        ("elsewhere/val/c.png", "images/val/c.png"),
        ("/home/me/proj/images/val/c.png", "images/val/c.png"),
        ("/images/val/c.png", "images/val/c.png"),
        (r"C:\proj\images\val\c.png", "images/val/c.png"),
        (r"..\images\val\c.png", "images/val/c.png"),
        ("./val/c.png", "images/val/c.png"),
        ("https://host.example/bucket/val/my%20d.png?token=1", "images/val/my d.png"),
        ("s3://bucket/train/c.png", "images/train/c.png"),
        ("file:///C:/proj/train/c.png", "images/train/c.png"),
        ("val/my%20d.png", "images/val/my d.png"),
        (unicodedata.normalize("NFD", "x/é.png"), "x/é.png"),
        ("x/\udce9.png", "x/é.png"),  # Latin-1
        ("VAL/C.PNG", "images/val/c.png"),
        ("nowhere/b.png", "images/train/b.png"),
        ("c.png", None),
        ("other/c.png", None),
        ("d.png", None),
        ("", None),
        ("/", None),
        ("a\0.jpg", None),
    ],
)
def test_the_longest_common_end_of_the_path_decides(name: str, key: str | None):
    assert found(name) == key


def test_a_path_relative_to_the_file_or_to_a_known_folder_comes_first():
    named = images("annotations/c.png", *PATHS)
    at_file = named.find(wanted("c.png", "images/val"))
    assert (at_file.entry and at_file.entry.key, at_file.in_full) == ("annotations/c.png", True)
    assert found("c.png", "images/val") == "images/val/c.png"
    assert found("c.png", "images/train", "images/val") is None


def test_an_image_of_the_same_name_in_another_split_is_another_image():
    assert found("c.png", split="val") == "images/val/c.png"
    assert found("b.png", split="val") is None
    assert "another split" in images().find(wanted("b.png", split="val")).reason
    # A written folder says more than the split.
    assert found("train/b.png", split="val") == "images/train/b.png"


def test_a_tie_names_both_candidates():
    reason = images().find(wanted("c.png")).reason
    assert "2 times" in reason
    assert all(str(ROOT / path) in reason for path in PATHS[2:4])


def test_what_does_not_exist_has_a_nearest_name():
    assert "my d.png" in images().find(wanted("my_d.png")).reason


def test_case_decides_between_names_that_differ_in_nothing_else():
    named = images("x/A.png", "y/a.png")
    assert [match.entry and match.entry.key for match in (named.find(wanted(n)) for n in ("A.png", "a.png"))] == [
        "x/A.png",
        "y/a.png",
    ]
    assert named.find(wanted("a.PNG")).entry is None


def test_names_may_lack_their_extension():
    named = images("images/a.png", "images/b.v1.jpg", "images/c.png", "images/c.jpg", stems=True)
    keys = [match.entry and match.entry.key for match in (named.find(wanted(n)) for n in ("a", "b.v1", "a.jpg", "c"))]
    assert keys == ["images/a.png", "images/b.v1.jpg", "images/a.png", None]


def test_the_first_name_that_fits_any_image_counts():
    named = images("0a1b2c3d-x.png", "x.png")
    (match,) = named.find_all([Wanted(("0a1b2c3d-x.png", "x.png"), ROOT / "p.json")])
    assert match.entry is not None
    assert match.entry.key == "0a1b2c3d-x.png"


@pytest.mark.parametrize(
    ("paths", "names", "keys"),
    [
        # The same picture, written the same way or from another folder.
        (["images/1.png"], ["1.png", "1.png"], ["images/1.png"] * 2),
        (["images/1.png"], ["images/1.png", "./1.png", "1.png"], ["images/1.png"] * 3),
        (["t/1.png"], ["/home/me/t/1.png", "t/1.png"], ["t/1.png"] * 2),
        # Two pictures, one of which is missing.
        (["a/1.png"], ["a/1.png", "b/1.png"], ["a/1.png", None]),
        (["images/1.png"], ["1.png", "b/1.png"], ["images/1.png", None]),
        (["1.png"], ["1.png", "b/1.png"], ["1.png", None]),
        (["a/1.png", "b/1.png"], ["a/1.png", "b/1.png", "c/1.png"], ["a/1.png", "b/1.png", None]),
        # Two pictures, and it is unknown which of them exists.
        (["images/1.png"], ["a/1.png", "b/1.png"], [None, None]),
        (["1.png"], ["a/1.png", "b/1.png"], [None, None]),
        (["1.png"], [r"C:\me\1.png", "/home/you/1.png"], [None, None]),
        # A file name alone is enough where nothing else claims the image.
        (["images/1.png", "images/2.png"], ["a/1.png", "b/2.png"], ["images/1.png", "images/2.png"]),
        (["images/1.png"], ["a/1.png", "a/1.png"], ["images/1.png"] * 2),
    ],
)
def test_two_paths_get_one_image_only_if_they_may_be_the_same(
    paths: list[str], names: list[str], keys: list[str | None]
):
    matches = images(*paths).find_all([wanted(name, ".", "images") for name in names])
    assert [match.entry and match.entry.key for match in matches] == keys


def test_an_image_in_another_folder_than_written_is_marked():
    named = images("images/1.png", "images/2.png")
    of = {name: named.find(wanted(name)).elsewhere for name in ("a/1.png", "images/2.png", "/home/me/images/2.png")}
    assert of == {"a/1.png": True, "images/2.png": False, "/home/me/images/2.png": False}


part = st.sampled_from(["a", "b", "A"])
path = st.builds(lambda folders, name: "/".join([*folders, name]), st.lists(part, max_size=3), part)


@given(st.sets(path, min_size=1, max_size=6), path)
def test_the_matcher_agrees_with_a_search_over_all_images(paths: set[str], name: str):
    """Of all images whose paths are equal from the end on, those with the longest common end; one of them, or none."""

    def score(one: str) -> tuple[int, bool, int]:
        ours, theirs = name.split("/")[::-1], (ROOT / one).as_posix().strip("/").split("/")[::-1]
        same = next((i for i in range(len(ours)) if ours[i].lower() != theirs[i].lower()), len(ours))
        exact = next((i for i in range(len(ours)) if ours[i] != theirs[i]), len(ours))
        return same, same == len(ours), exact

    best = max(score(one) for one in paths)
    expected = [one for one in paths if score(one) == best] if best[0] else []
    match = images(*paths).find(wanted(name))
    assert (match.entry and match.entry.key) == (expected[0] if len(expected) == 1 else None)
    if match.entry is None:
        assert ("times" in match.reason) == (len(expected) > 1)


@example({"a"}, ["a/a", "a/a/a", "b/a/a"])
@example({"a/a"}, ["a/a", "a/a/a", "b/a/a"])
@given(st.sets(path, min_size=1, max_size=4), st.lists(path, min_size=1, max_size=4))
def test_no_image_goes_to_two_paths_that_contradict_each_other(paths: set[str], names: list[str]):
    named = images(*paths)
    matches = named.find_all([wanted(name) for name in names])
    for one, first in zip(names, matches, strict=True):
        alone = named.find(wanted(one))
        assert first.entry in (alone.entry, None)
        for other, second in zip(names, matches, strict=True):
            if first.entry is not None and first.entry == second.entry:
                shorter, longer = sorted((one.lower(), other.lower()), key=len)
                assert longer == shorter or longer.endswith("/" + shorter)


@pytest.mark.parametrize("path", ["c.png", "/a/b/c.png", r"a\b\c.png", r"a/b\c.png"])
def test_the_last_part_of_a_path(path: str):
    assert file_name(path) == "c.png"


def test_a_relative_root_is_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    entry = Entry("a", Path("images/a.png"))
    assert NamedImages([entry], Path()).find(Wanted((os.path.abspath("images/a.png"),), Path("x.json"))).entry == entry
