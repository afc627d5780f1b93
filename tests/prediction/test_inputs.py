from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from foreign_data import write_tar
from hub_server import hub_of
from hypothesis import given
from hypothesis import strategies as st
from serving import serving

from pixelwise.errors import DataError, RecipeError
from pixelwise.prediction.inputs import find_inputs, output_names


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def found(paths, outputs=()) -> list[tuple[str, str]]:
    return [(image.path.name, image.name.as_posix()) for image in find_inputs(paths, outputs).images]


def test_a_folder_means_all_images_below_it_in_order(tmp_path):
    touch(
        tmp_path,
        "b.jpg",
        "day/a.PNG",
        "day/night/c.webp",
        "readme.txt",
        ".hidden.png",
        ".git/d.png",
        "Thumbs.db",
    )

    assert found([tmp_path]) == [("b.jpg", "b"), ("a.PNG", "day/a"), ("c.webp", "day/night/c")]


def test_a_named_file_is_taken_whatever_it_is_called(tmp_path):
    touch(tmp_path, "picture", ".hidden.jpg")

    assert found([tmp_path / "picture", tmp_path / ".hidden.jpg"]) == [
        ("picture", "picture"),
        (".hidden.jpg", ".hidden"),
    ]


def test_a_pattern_mirrors_the_folders_below_its_fixed_part(tmp_path):
    touch(tmp_path, "in/x/a.jpg", "in/y/b.jpg", "in/y/notes.txt", "in/c.png")

    assert found([str(tmp_path / "in" / "**" / "*.jpg")]) == [("a.jpg", "x/a"), ("b.jpg", "y/b")]


def test_a_pattern_that_matches_folders_means_the_images_in_them(tmp_path):
    touch(tmp_path, "in/x/a.jpg", "in/y/b.jpg", "in/y/notes.txt", "in/notes.txt")

    assert found([str(tmp_path / "in" / "*")]) == [("a.jpg", "x/a"), ("b.jpg", "y/b")]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    touch(tmp_path, "photo[1].jpg", "photo1.jpg")

    assert found([tmp_path / "photo[1].jpg"]) == [("photo[1].jpg", "photo[1]")]


def test_relative_patterns_and_folders_work(tmp_path, monkeypatch):
    touch(tmp_path, "in/a.jpg", "b.jpg")
    monkeypatch.chdir(tmp_path)

    assert found(["*.jpg"]) == [("b.jpg", "b")]
    assert found(["in"]) == [("a.jpg", "a")]


def test_the_same_image_named_twice_is_predicted_once(tmp_path, monkeypatch):
    touch(tmp_path, "in/a.jpg")
    monkeypatch.chdir(tmp_path)

    assert found(["in", "in/a.jpg", tmp_path / "in" / ".." / "in" / "a.jpg"]) == [("a.jpg", "a")]


@pytest.mark.parametrize(
    ("given", "endings"),
    [("empty", True), ("missing.jpg", False), ("*.jpg", True)],
)
def test_a_path_without_images_is_an_error_that_names_it_and_the_endings_looked_for(tmp_path, given, endings):
    touch(tmp_path, "empty/readme.txt")

    with pytest.raises(DataError) as caught:
        find_inputs([tmp_path / given], [])

    assert caught.value.code == "D223"
    assert given in caught.value.message
    assert (".png" in caught.value.message) is endings


def test_files_that_are_not_taken_for_images_are_listed_once(tmp_path, monkeypatch):
    touch(tmp_path, "in/a.jpg", "in/b.heic", "in/c/d", "in/notes.txt", "in/e.mp4", ".hidden.heic")
    monkeypatch.chdir(tmp_path)

    def left_out(*paths):
        return [path.as_posix() for path in find_inputs(paths, []).left_out]

    assert left_out("in") == ["in/b.heic", "in/c/d", "in/e.mp4"]
    assert left_out("in/*") == ["in/b.heic", "in/c/d", "in/e.mp4", "in/notes.txt"]
    assert left_out("in", "in/*", "in/a.jpg", "in/b.heic") == ["in/c/d", "in/e.mp4", "in/notes.txt"]


def test_mosaics_of_a_folder_count_if_it_holds_no_other_images(tmp_path):
    touch(tmp_path, "tiles/a.tif", "tiles/all.vrt", "mosaics/b.VRT", "mosaics/day/c.vrt")

    assert found([tmp_path / "tiles"]) == [("a.tif", "a")]
    assert find_inputs([tmp_path / "tiles"], []).left_out == [tmp_path / "tiles/all.vrt"]
    assert found([tmp_path / "mosaics"]) == [("b.VRT", "b"), ("c.vrt", "day/c")]
    assert found([tmp_path / "tiles/*.vrt"]) == [("all.vrt", "all")]
    assert find_inputs([tmp_path / "mosaics"], []).left_out == []


def test_a_path_without_images_says_what_lies_there(tmp_path):
    touch(tmp_path, "in/a.heic", "in/b.HEIC", "in/c")

    with pytest.raises(DataError, match=r"found: \.heic \(2\), no extension \(1\)"):
        find_inputs([tmp_path / "in"], [])


def test_images_at_addresses(tmp_path, monkeypatch):
    pytest.importorskip("obstore")
    for name in ("in/b.jpg", "in/a/c.png", "in/notes.txt"):
        touch(tmp_path, name)
        (tmp_path / name).write_bytes(name.encode())
    with serving(tmp_path / "in") as server:
        (image,) = find_inputs([f"{server.address}/b.jpg"], []).images
        assert (image.name, image.path.read_bytes()) == (Path("b"), b"in/b.jpg")
        with pytest.raises(DataError, match=r"d\.jpg: no such file") as caught:
            find_inputs([f"{server.address}/d.jpg"], [])
        assert caught.value.code == "D223"
    with hub_of(tmp_path / "in") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        found = find_inputs(["hf://datasets/owner/name@main"], []).images
        assert [(image.name.as_posix(), image.path.read_bytes()) for image in found] == [
            ("a/c", b"in/a/c.png"), ("b", b"in/b.jpg"),
        ]  # fmt: skip


@pytest.mark.heavy
def test_images_in_tars_of_other_programs(tmp_path):
    write_tar(tmp_path / "x.tar", {"a.jpg": b"1", "a.mask.png": b"2", "a.seg.png": b"3", "b/c.jpg": b"4"})
    for place in (tmp_path, tmp_path / "x.tar", tmp_path / "{x,x}.tar"):
        found = find_inputs([place], []).images
        assert [(image.name.as_posix(), image.path.read_bytes()) for image in found] == [("a", b"1"), ("b/c", b"4")]


def test_one_good_path_does_not_excuse_a_wrong_one(tmp_path):
    touch(tmp_path, "a.jpg")

    with pytest.raises(DataError, match=r"b\.jpg") as caught:
        find_inputs([tmp_path / "a.jpg", tmp_path / "b.jpg"], [])

    assert caught.value.code == "D223"


def test_predictions_of_an_earlier_call_are_not_inputs(tmp_path):
    touch(tmp_path, "a.jpg", "out/overlays/a.jpg", "out/masks/a.png")

    outputs = [tmp_path / "out" / "masks", tmp_path / "out" / "overlays"]

    assert found([tmp_path], outputs) == [("a.jpg", "a")]


@pytest.mark.parametrize("given", ["masks", "masks/a.png", "link"])
def test_inputs_in_a_folder_that_is_written_to_are_refused(tmp_path, given):
    touch(tmp_path, "masks/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "masks")

    with pytest.raises(RecipeError, match=given) as caught:
        find_inputs([tmp_path / given], [tmp_path / "masks"])

    assert caught.value.code == "R220"
    assert "`output`" in caught.value.help


def test_a_folder_whose_name_begins_alike_is_not_the_output(tmp_path):
    touch(tmp_path, "masks-by-hand/a.png")

    assert found([tmp_path / "masks-by-hand"], [tmp_path / "masks"]) == [("a.png", "a")]


def test_images_that_would_share_a_name_keep_their_endings():
    names = output_names([Path("x/a.jpg"), Path("x/a.png"), Path("x/b.jpg"), Path("y/a.jpg")])

    assert [name.as_posix() for name in names] == ["x/a.jpg", "x/a.png", "x/b", "y/a"]


def test_images_of_equal_name_from_two_folders_are_numbered():
    assert [name.name for name in output_names([Path("a.jpg"), Path("a.jpg"), Path("a.jpg")])] == [
        "a.jpg",
        "a.jpg-2",
        "a.jpg-3",
    ]


def test_a_name_freed_by_another_image_is_not_taken_twice():
    names = output_names([Path("a.jpg.gif"), Path("a.jpg"), Path("a.png")])

    assert [name.name for name in names] == ["a.jpg", "a.jpg-2", "a.png"]


folders = st.sampled_from(["", "x/", "X/"])
stems = st.sampled_from(
    ["a", "A", "a.b", "ä", unicodedata.normalize("NFD", "ä"), "a-2", "a.jpg-2", "y" * 251, "y" * 260]
)
endings = st.sampled_from([".jpg", ".JPG", ".png", ".jpg.png", ""])


@pytest.mark.heavy
@given(
    st.lists(
        st.builds(lambda folder, stem, ending: Path(folder + stem + ending), folders, stems, endings),
        max_size=12,
    )
)
def test_output_names_are_always_different_and_never_too_long(relative):
    names = output_names(relative)

    folded = {unicodedata.normalize("NFC", os.fspath(name)).casefold() for name in names}
    assert len(folded) == len(relative)
    assert all(len(os.fsencode(name.name + ".png")) <= 255 for name in names)
    assert [name.parent for name in names] == [path.parent for path in relative]


def test_videos_of_folders_are_inputs_only_where_they_are_asked_for(tmp_path: Path):
    for name in ("a.png", "b.MP4", "c/d.mkv", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    without = find_inputs([tmp_path / "in"], [])
    assert [one.name.as_posix() for one in without.images] == ["a"]
    assert sorted(path.name for path in without.left_out) == ["b.MP4", "d.mkv"]
    with_them = find_inputs([tmp_path / "in"], [], videos=True)
    assert [one.name.as_posix() for one in with_them.images] == ["a", "b", "c/d"]
    assert with_them.left_out == []
    pattern = find_inputs([str(tmp_path / "in" / "*.*")], [], videos=True)
    assert [one.name.as_posix() for one in pattern.images] == ["a", "b"]


def test_a_video_does_not_share_the_name_of_a_folder_or_an_image():
    relative = ["clip.mp4", "clip/1.png", "day.mkv", "day.jpg", "night.mov", "Night/x/1.png", "dusk.png", "dusk/1.png"]
    assert [name.as_posix() for name in output_names([Path(one) for one in relative])] == [
        "clip.mp4", "clip/1", "day.mkv", "day.jpg", "night.mov", "Night/x/1", "dusk", "dusk/1",
    ]  # fmt: skip


def test_the_address_of_a_video_is_refused():
    with pytest.raises(DataError) as caught:
        find_inputs(["s3://bucket/clip.mp4"], [], videos=True)
    assert caught.value.code == "D285"
