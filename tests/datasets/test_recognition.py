from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelwise.datasets.findings import finding
from pixelwise.datasets.format import FORMATS, UNMISTAKABLE, Format, OtherFormatError, format_of
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.recognition import find_layout, recognised
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.testing.miniatures import write_miniature

MakeFolder = Callable[..., Path]
MASK = np.array([[0, 1]], np.uint8)


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Register a format `first` that is asked before all others."""

    def apply(layout: Callable[[Path], Layout | None], **fields: Any) -> None:
        options = {"recognise": lambda root: True, "priority": UNMISTAKABLE + 1} | fields
        made = Format(name="first", title="first", expected="anything", layout=layout, **options)
        monkeypatch.setitem(FORMATS, "first", made)

    return apply


def one_pair(root: Path) -> Layout:
    samples = (Sample("a", root / "a.jpg", root / "a.png"),)
    return Layout(name="", description="one pair", root=root, splits={"train": samples})


def no_pair(root: Path) -> Layout:
    return Layout(name="", description="none", root=root, splits={"train": ()}, problems=(finding("D221", "empty"),))


def other(root: Path) -> Layout:
    raise OtherFormatError("D227", "only its name is the same", "")


def test_the_highest_priority_is_opened_under_its_registered_name(add: Callable, make_folder: MakeFolder):
    add(one_pair)
    root = make_folder({"train/a": MASK})
    assert [format.name for format in recognised(root)] == ["first", "folder"]
    assert find_layout(None, root).name == "first"


@pytest.mark.parametrize("layout", [no_pair, other, lambda root: None])
def test_a_format_that_finds_no_pair_leaves_the_folder_to_the_next(
    add: Callable, make_folder: MakeFolder, layout: Callable[[Path], Layout | None]
):
    add(layout)
    assert find_layout(None, make_folder({"train/a": MASK})).name == "folder"


def test_where_nothing_finds_a_pair_the_first_that_recognised_the_folder_says_why(add: Callable, tmp_path: Path):
    add(no_pair)
    found = find_layout(None, tmp_path)
    assert (found.name, [problem.code for problem in found.problems]) == ("first", ["D221"])


def test_who_names_a_format_hears_that_it_is_another_one(add: Callable, make_folder: MakeFolder):
    add(other)
    with pytest.raises(OtherFormatError) as caught:
        find_layout(format_of("first"), make_folder({"train/a": MASK}))
    assert caught.value.code == "D227"


def test_a_format_that_is_not_asked_has_to_be_named(add: Callable, make_folder: MakeFolder):
    add(one_pair, recognise=None)
    root = make_folder({"train/a": MASK})
    assert find_layout(None, root).name == "folder"
    assert find_layout(format_of("first"), root).description == "one pair"


def test_the_last_resort_comes_after_the_folders_below(add: Callable, make_folder: MakeFolder, tmp_path: Path):
    add(lambda root: None, last_resort=one_pair)
    assert find_layout(None, tmp_path).name == "first"
    root = make_folder({"train/a": MASK}, "outer/inner")
    assert find_layout(None, root.parent).name == "folder"


def test_built_in_formats_that_fail_to_look_are_our_fault(monkeypatch: pytest.MonkeyPatch, make_folder: MakeFolder):
    import msgspec

    rude = msgspec.structs.replace(format_of("lists"), recognise=lambda root: bool(1 / 0))
    monkeypatch.setitem(FORMATS, "lists", rude)
    with pytest.raises(ZeroDivisionError):
        find_layout(None, make_folder({"train/a": MASK}))


def test_a_format_that_can_generate_data_says_so_about_an_empty_folder(tmp_path: Path):
    town = format_of("town")
    with pytest.raises(DataError) as caught:
        find_layout(town, tmp_path)
    assert caught.value.code == "D222"
    assert "folder" in caught.value.help.partition(town.expected)[2]


def test_archives_that_were_not_unpacked_are_named(tmp_path: Path):
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DataError) as caught:
        find_layout(None, tmp_path)
    assert caught.value.code == "D222"
    assert caught.value.help.startswith(".zip: unpack it")


CUSTOM = [one.name for one in FORMATS.values() if one.classes is None and one.miniature is not None]
OUTLINES = ("coco", "cvat", "labelme", "yolo", "via", "label-studio")


@pytest.mark.parametrize("name", CUSTOM)
def test_a_folder_in_one_format_is_not_said_to_hold_others(tmp_path: Path, name: str):
    layout = find_layout(None, write_miniature(name, tmp_path / name))
    assert "W227" not in [problem.code for problem in layout.problems]


@pytest.mark.parametrize("second", OUTLINES)
@pytest.mark.parametrize("first", ["folder", *OUTLINES])
def test_annotations_beside_those_that_are_read_are_named_with_the_override_that_reads_them(
    tmp_path: Path, first: str, second: str
):
    root = write_miniature(second, write_miniature(first, tmp_path / "both"))
    layout = find_layout(None, root)
    said = [problem for problem in layout.problems if problem.code == "W227"]
    assert len(said) == (first != second)
    assert layout.name in (first, second)
    if not said:
        return
    (other,) = {first, second} - {layout.name}
    assert layout.name == "folder" or first != "folder"  # masks come first
    assert format_of(other).title in said[0].message
    assert f"data.dataset={other}" in said[0].fix
    other_layout = find_layout(format_of(other), root)
    assert other_layout.name == other
    assert not any(problem.code == "W227" for problem in other_layout.problems)


def test_a_readme_and_settings_beside_masks_are_no_annotations(make_folder: MakeFolder):
    root = make_folder({"a": MASK})
    (root / "README.txt").write_text("0 1 2 3 4\n")
    (root / "package.json").write_text('{"images": [], "version": 1}')
    (root / "sizes.csv").write_text("filename,width\na.png,2\n")
    (root / "notes.xml").write_text("<annotation/>")
    assert not [problem for problem in find_layout(None, root).problems if problem.code == "W227"]


def test_lists_that_divide_annotations_do_not_leave_them_out(tmp_path: Path):
    root = write_miniature("coco", tmp_path / "coco", (3, 1))
    (root / "train.txt").write_text("train/0000\nval/0000.png\n")
    (root / "val.txt").write_text("train/0001\ntrain/0002\n")
    layout = find_layout(None, root)
    assert layout.name == "lists"
    assert not [problem for problem in layout.problems if problem.code == "W227"]


@pytest.mark.parametrize("name", ["annotations/train.txt", "images/val.lst", "metadata.csv"])
def test_lists_that_are_not_read_are_named_where_the_images_are_divided_by_name(make_folder: MakeFolder, name: str):
    root = make_folder(dict.fromkeys((f"p{number}" for number in range(6)), MASK))
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("image,split\n" + "".join(f"p{n}.png,{'train' if n < 4 else 'val'}\n" for n in range(6)))
    (said,) = [problem for problem in find_layout(None, root).problems if problem.code == "W228"]
    assert name in said.message
    assert said.files == (str(root / name),)
    assert not any(problem.code == "W228" for problem in find_layout(FORMATS["folder"], root).problems)
    assert "data.dataset=folder" in said.fix
    assert f"{root}/train.txt" in said.fix
    for split, keys in (("train", range(4)), ("val", range(4, 6))):
        (root / f"{split}.txt").write_text("".join(f"p{number}\n" for number in keys))
    layout = find_layout(None, root)
    assert {split: len(found) for split, found in layout.splits.items()} == {"train": 4, "val": 2}
    assert not any(problem.code == "W228" for problem in layout.problems)


def test_what_is_wrong_with_annotations_is_told_where_there_is_no_mask(tmp_path: Path):
    root = write_miniature("yolo", tmp_path / "yolo")
    for file in root.glob("labels/*/*.txt"):
        file.write_text("0 1 1 20 1 20 20 1 20\n")  # pixels in place of shares of the size
    layout = find_layout(None, root)
    assert layout.name == "yolo"
    assert "coordinates outside 0..1" in next(one.message for one in layout.problems if one.code == "D230")
