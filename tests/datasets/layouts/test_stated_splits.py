from pathlib import Path

import pytest

from pixelwise.datasets.layouts.stated_splits import stated_splits


def stated(root: Path, yaml: str, *images: str) -> tuple[dict[str, str], list[str]]:
    """Image -> split, and the codes of what is wrong."""
    files = [root / image for image in images or ("x/1.png", "y/1.png", "y/z/2.png")]
    (root / "data.yaml").write_text(yaml, "utf-8")
    found = stated_splits([root / "data.yaml"], root, files)
    return (
        {file.relative_to(root).as_posix(): split for file, split in found.splits.items()},
        [problem.code for problem in found.problems],
    )


@pytest.mark.parametrize("place", ["{}", "./{}", "../{}", "/home/me/data/{}", "C:\\data\\{}", "[{}]"])
def test_folders_are_found_wherever_the_file_was_written(tmp_path: Path, place: str):
    yaml = f"train: {place.format('x')}\nvalid: {place.format('y')}\n"
    assert stated(tmp_path, yaml) == ({"x/1.png": "train", "y/1.png": "val", "y/z/2.png": "val"}, [])


def test_the_inner_folder_counts(tmp_path: Path):
    assert stated(tmp_path, "train: .\nval: y/z\n") == (
        {"x/1.png": "train", "y/1.png": "train", "y/z/2.png": "val"},
        [],
    )


def test_folders_that_nothing_states_are_left_alone(tmp_path: Path):
    assert stated(tmp_path, "names: [a]\nval:\ntest: null\n") == ({}, [])


def test_lists_are_read(tmp_path: Path):
    (tmp_path / "train.txt").write_bytes("./x/1.png\r\n".encode("utf-16"))
    (tmp_path / "val.txt").write_text("/home/me/y/z/2.png\n")
    yaml = "train: train.txt\nval: lists/val.txt\n"
    assert stated(tmp_path, yaml) == ({"x/1.png": "train", "y/z/2.png": "val"}, [])


@pytest.mark.parametrize(
    ("yaml", "codes"),
    [
        ("train: x\nval: nowhere\n", ["D232"]),
        ("train: x\ntest: nowhere\n", ["W223"]),
        ("train: none.txt\nval: x\n", ["D232"]),
        ("train: bad.txt\nval: y\n", ["D232"]),
        ("train: empty.txt\nval: x\n", ["D232"]),
        ("train: y\nval: y\n", ["W223"]),
    ],
)
def test_what_does_not_exist_is_said_with_its_line(tmp_path: Path, yaml: str, codes: list[str]):
    (tmp_path / "bad.txt").write_text("x/1.png\nx/7.png\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert stated(tmp_path, yaml)[1] == codes


def test_the_message_names_line_and_entry(tmp_path: Path):
    (tmp_path / "bad.txt").write_text("x/1.png\nx/7.png\n")
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: bad.txt\n")
    (problem,) = stated_splits([tmp_path / "data.yaml"], tmp_path, [tmp_path / "x/1.png"]).problems
    assert all(part in problem.message for part in ("data.yaml, line 2", "1 of 2 lines", "line 2, 'x/7.png'", "1.png"))
