import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.layouts.listing import _key, holds_files, image_stems, list_images, subfolders
from pixelwise.storage import printable


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_images_are_listed_below_folders_in_order(tmp_path: Path):
    touch(tmp_path, "b.PNG", "a.jpeg", "city/c.tif")
    assert [entry.key for entry in list_images(tmp_path).entries] == ["a", "b", "city/c"]


def test_hidden_and_system_files_are_left_out_in_silence(tmp_path: Path):
    touch(tmp_path, "a.png", "._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/a.png", ".git/x.png")
    listing = list_images(tmp_path)
    assert [entry.key for entry in listing.entries] == ["a"]
    assert listing.problems == []


def test_other_kinds_of_files_are_counted_once_but_lists_and_annotations_are_not(tmp_path: Path):
    touch(tmp_path, "a.png", "b.heic", "c.heic", "d", "labels.txt", "a.json", "readme.md")
    (problem,) = list_images(tmp_path).problems
    assert problem.code == "W215"
    assert ".heic (2), " in problem.message
    assert "(1)" in problem.message
    assert problem.total == 3


def test_a_link_that_loops_is_reported_and_not_followed(tmp_path: Path):
    touch(tmp_path, "a.png")
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "self").symlink_to("self")
    listing = list_images(tmp_path)
    assert [entry.key for entry in listing.entries] == ["a"]
    assert {problem.code for problem in listing.problems} == {"D131"}
    assert {Path(problem.files[0]).name for problem in listing.problems} == {"again", "self"}


def test_a_linked_folder_is_followed(tmp_path: Path):
    touch(tmp_path, "real/a.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "real")
    assert [entry.key for entry in list_images(tmp_path / "images").entries] == ["linked/a"]


def test_dangling_links_and_pipes_are_reported_by_name(tmp_path: Path):
    touch(tmp_path, "a.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    listing = list_images(tmp_path)
    assert [entry.key for entry in listing.entries] == ["a"]
    assert {problem.code for problem in listing.problems} == {"D131"}
    assert {Path(problem.files[0]).name for problem in listing.problems} == {"gone.png", "pipe.png"}
    assert all(problem.files[0] in problem.message for problem in listing.problems)


def test_a_folder_that_may_not_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    # As root, a folder without permissions is still listed.
    monkeypatch.setattr(os, "scandir", refuse)
    (problem,) = list_images(tmp_path).problems
    assert problem.code == "D131"
    assert "Permission denied" in problem.message
    assert subfolders(tmp_path) == {}


def test_keys_are_nfc_and_printable_whatever_the_file_system_says(tmp_path: Path):
    decomposed = unicodedata.normalize("NFD", "stra\u00dfe_\u00fc")
    touch(tmp_path, f"{decomposed}.png", "line\nbreak.png", "-dash.png", "two words.png")
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.png", os.O_CREAT))
    keys = [entry.key for entry in list_images(tmp_path).entries]
    assert set(keys) == {"stra\u00dfe_\u00fc", "line\\nbreak", "-dash", "two words", "\\xff"}
    assert all(key.isprintable() for key in keys)


def test_subfolders_are_found_without_regard_to_case(tmp_path: Path):
    touch(tmp_path, "JPEGImages/a.jpg", ".cache/x", "file.png")
    assert list(subfolders(tmp_path)) == ["jpegimages"]


def test_stems_are_those_of_the_images_directly_in_a_folder(tmp_path: Path):
    for name in ("b.PNG", "a.v2.jpg", ".hidden.png", "Thumbs.db", "readme.txt", "inner/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(image_stems(tmp_path)) == ["a.v2", "b"]
    assert image_stems(tmp_path / "missing") == []


def test_files_are_found_by_extension_below_links_but_not_among_hidden_ones(tmp_path: Path):
    touch(tmp_path / "set", "a.png", ".b.json", ".hidden/c.json", "__MACOSX/d.json", "e.jsonl")
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set")
    assert not holds_files(tmp_path / "set", {".json"})
    touch(tmp_path / "other", "f.JSON")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "other")
    assert holds_files(tmp_path / "set", {".json"})
    assert not holds_files(tmp_path / "nothing", {".json"})


NAMES = st.lists(
    st.sampled_from(["a", ".", " ", "\u00e9", "e\u0301", "\udc80", "\n", "\\", ".png"]), min_size=1, max_size=5
).map("".join)


@pytest.mark.heavy
@given(
    folder=st.sampled_from(["/x/y", "x", ".", "/", "..", "x/../y", "/x/y.png"]),
    parts=st.lists(NAMES, min_size=1, max_size=3).filter(lambda parts: not {".", ".."} & set(parts)),
)
def test_keys_are_those_of_pathlib_whatever_the_names(folder: str, parts: list[str]):
    path = Path(folder, *parts)
    expected = path.relative_to(folder).with_suffix("").as_posix()
    assert _key(path, Path(folder)) == printable(unicodedata.normalize("NFC", expected))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_files_to_which_a_folder_gives_no_access_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path, "closed/a.png", "b.png")
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed")
    opened = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **options: refused(path, opened, **options))
    listing = list_images(tmp_path)
    assert [entry.key for entry in listing.entries] == ["b"]
    assert [problem.code for problem in listing.problems] == ["D131"]


def refused(path: Path, opened, **options):
    if path.parent.name == "closed":
        raise PermissionError(13, "Permission denied", str(path))
    return opened(path, **options)
