from pathlib import Path

from pixelwise.datasets.layouts.endings import endings_in, other_files


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_files_that_are_no_images_are_counted_by_ending(tmp_path: Path):
    folder = touch(tmp_path / "a", "1.mat", "2.MAT", "a.png", "b.npy", "c.xyz", "README", ".hidden.mat")
    (folder / "inner.mat").mkdir()
    assert dict(endings_in(folder)) == {".mat": 2, ".xyz": 1, "": 1}


def test_known_endings_come_with_advice(tmp_path: Path):
    words, advice = other_files(touch(tmp_path / "a", "1.mat", "2.mat", "data.zip", "c.xyz"))
    assert words == "2 .mat, 1 .zip, 1 .xyz" or words == "2 .mat, 1 .xyz, 1 .zip"
    assert ".mat: MATLAB" in advice
    assert ".zip: unpack it" in advice
    assert "xyz" not in advice


def test_a_folder_of_images_or_none_at_all_says_nothing(tmp_path: Path):
    assert other_files(touch(tmp_path / "a", "a.png", "b.JPG")) == ("", "")
    assert other_files(tmp_path / "missing") == ("", "")
