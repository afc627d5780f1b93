import ntpath
import os
import unicodedata
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixelwise.storage import names
from pixelwise.storage.names import (
    LONGEST_NAME,
    counted,
    distinct,
    folded,
    id_of,
    is_plain_name,
    listed_path,
    portable,
    printable,
    problem_of,
    some,
)


def test_ordinary_names_stay():
    assert printable("Straße 1 – 写真.png") == "Straße 1 – 写真.png"


def test_undecodable_bytes_and_control_characters_are_escaped():
    assert printable(os.fsdecode(b"b\xff.png")) == "b\\xff.png"
    assert printable("a\nb\x1b[31m.png") == "a\\nb\\x1b[31m.png"
    assert printable("half of a pair\ud83d") == "half of a pair\\ud83d"  # Windows lets files be called so


@given(st.text("ab./\\:\0 ", max_size=6))
@example("model.safetensors")
def test_a_plain_name_stays_in_its_folder_on_every_system(name: str):
    stays = all((kind("folder") / name).parent == kind("folder") for kind in (PurePosixPath, PureWindowsPath))
    assert not is_plain_name(name) or (stays and name != "..")


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/a", "a\\b", "C:a", "a:stream", "a\0"])
def test_a_name_that_leads_elsewhere_is_not_plain(name: str):
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["a", "a.bin", ".hidden", "..a", "a b", "写真.png"])
def test_an_ordinary_name_is_plain(name: str):
    assert is_plain_name(name)


def test_nouns_are_counted():
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_long_lists_are_cut():
    assert [some(items, 2) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a, b",
        "a, b and 1 more",
    ]
    assert some([str(number) for number in range(7)]) == "0, 1, 2, 3, 4 and 2 more"


ORDINARY = [
    "0001",
    "aachen_000000_000019",
    "a.b",
    "Straße – 写真",
    "console",
    "nuller.png",
    "com10",
    ".hidden",
    "a'(1)+%&~",
]


@pytest.mark.parametrize("name", ORDINARY)
def test_names_that_every_system_accepts_are_unchanged(name: str):
    assert (problem_of(name), portable(name)) == ("", name)


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("a:b", "a_b"),
        ("2020-01-01T10:00:00", "2020-01-01T10_00_00"),
        ('<>:"/\\|?*', "_________"),
        ("C:evil", "C_evil"),
        ("\\\\server\\share", "__server_share"),
        ("a\nb", "a_b"),
        ("a.", "a_"),
        ("a. .", "a___"),
        (" ", "_"),
        (".", "_"),
        ("..", "__"),
        ("", "_"),
        ("CON", "CON_"),
        ("aux.png", "aux_.png"),
        ("NUL.tar.gz", "NUL_.tar.gz"),
        ("lpt1 .x", "lpt1_.x"),
        ("COM²", "COM²_"),
        (os.fsdecode(b"b\xff"), "b_"),
        ("\ud800", "_"),
    ],
)
def test_names_that_some_system_refuses_are_adapted(name: str, becomes: str):
    assert problem_of(name)
    assert portable(name) == becomes


def test_long_names_are_cut_and_stay_distinct():
    one, other = portable("ä" * 200 + "1"), portable("ä" * 200 + "2")
    assert one != other
    assert one.startswith("ä" * 100)
    assert len(one.encode()) <= LONGEST_NAME
    assert len((portable("x" * 300, ending=".png") + ".png").encode()) == LONGEST_NAME


def test_the_ending_counts_as_part_of_the_name():
    assert portable("con", ending=".png") == "con_"
    assert portable("a.", ending=".png") == "a."
    assert portable("con.", ending=".png") == "con_."


parts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["con", "AUX", "nul.x", "com1", "a", "A", "a.", "a ", "ß", "ss", "é", "e\u0301", "a-2", "..", "x" * 260]
    ),
    st.text(alphabet='ab.: -<>|?*"\\', max_size=6),
    st.binary(max_size=6).map(os.fsdecode),
)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


def windows_accepts(name: str) -> bool:
    path = PureWindowsPath(name)
    plain = path.parts == (name,) and not path.anchor and not path.is_reserved()
    return plain and name == name.rstrip(". ") and not any(letter < " " or letter in '<>:"/\\|?*' for letter in name)


@given(parts, st.sampled_from(["", ".png", ".jpg", ".npy"]))
@example("con", ".png")
@example("COM1", "")
def test_a_portable_name_is_one_name_on_every_system(name: str, ending: str):
    made = portable(name, ending=ending)
    assert problem_of(made + ending) == ""
    assert windows_accepts(made + ending)
    assert PurePosixPath(made + ending).parts == (made + ending,)
    assert len((made + ending).encode("utf-8")) <= LONGEST_NAME
    assert portable(made, ending=ending) == made


@given(parts)
def test_names_are_unchanged_exactly_if_they_have_no_problem(name: str):
    assert (problem_of(name) == "") == (portable(name) == name)
    if not problem_of(name):
        assert windows_accepts(name)


@given(st.lists(paths, max_size=10), st.sampled_from([("",), (".png", ".jpg")]))
@example(["con", "con_"], (".png",))
@example(["a:b", "a_b"], ("",))
@example(["a", "a.png/b"], (".png",))
@example(["a", "a/b"], ("",))
@example(["ﬃ", "FFI"], ("",))
def test_distinct_paths_are_different_files_on_every_system(given_paths: list[str], endings: tuple[str, ...]):
    made = distinct(given_paths, endings=endings)
    for ending in endings:
        files = [folded(path + ending) for path in made]
        folders = {folded(str(folder)) for path in made for folder in PurePosixPath(path).parents if folder.name}
        assert len(set(files)) == len(files)
        assert not folders & set(files)
        assert all(windows_accepts(part) for path in made for part in (path + ending).split("/"))
    assert distinct(made, endings=endings) == made


def test_paths_keep_their_names_as_far_as_they_can():
    assert distinct(["day/0001", "night/0001", "b"]) == ["day/0001", "night/0001", "b"]
    assert distinct(["a", "A", "a"]) == ["a", "A-2", "a-3"]
    assert distinct(["a:b", "a_b"]) == ["a_b-2", "a_b"]
    assert distinct(["../../etc/passwd", "/abs", "."]) == ["etc/passwd", "abs", "_"]
    assert distinct(["caf\u00e9", "cafe\u0301"]) == ["caf\u00e9", "cafe\u0301-2"]


@pytest.mark.parametrize(
    ("path", "root", "id"),
    [
        (PurePosixPath("/data/images/sub/0001.jpg"), PurePosixPath("/data"), "images/sub/0001"),
        (PurePosixPath("/data/lists/../images/a.b.jpg"), PurePosixPath("/data"), "images/a.b"),
        (PurePosixPath("/elsewhere/a.jpg"), PurePosixPath("/data"), "elsewhere/a"),
        (PurePosixPath("../elsewhere/a.jpg"), PurePosixPath("data"), "elsewhere/a"),
        (PureWindowsPath(r"C:\data\images\sub\0001.jpg"), PureWindowsPath(r"C:\data"), "images/sub/0001"),
        (PureWindowsPath(r"c:\Data\images\0001.jpg"), PureWindowsPath(r"C:\data"), "images/0001"),
        (PureWindowsPath(r"C:\data\lists\..\images\a.jpg"), PureWindowsPath(r"C:\data"), "images/a"),
        (PureWindowsPath(r"D:\other\a.jpg"), PureWindowsPath(r"C:\data"), "other/a"),
        (PureWindowsPath(r"\\server\share\set\a.jpg"), PureWindowsPath(r"C:\data"), "set/a"),
        (PureWindowsPath(r"\\server\share\set\a.jpg"), PureWindowsPath(r"\\server\share\set"), "a"),
        (PureWindowsPath(r"..\..\a.jpg"), PureWindowsPath("data"), "a"),
    ],
)
def test_ids_are_the_same_on_every_system_and_lead_nowhere(path: PurePath, root: PurePath, id: str):
    assert id_of(path, root) == id


def test_ids_are_normalised_and_printable():
    root = PurePosixPath("/data")
    assert id_of(root / unicodedata.normalize("NFD", "é\n.png"), root) == "é\\n"


def test_lists_name_files_with_slashes_on_every_system(monkeypatch: pytest.MonkeyPatch):
    assert listed_path("/data/images/a.jpg", "/data/lists") == "../images/a.jpg"
    monkeypatch.setattr(names, "os", SimpleNamespace(path=ntpath, sep="\\"))
    assert listed_path(r"C:\data\images\a.jpg", r"C:\data\lists") == "../images/a.jpg"
    assert listed_path(r"D:\images\a.jpg", r"C:\data\lists") == "D:/images/a.jpg"
