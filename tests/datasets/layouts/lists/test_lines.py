from pathlib import Path

import pytest

from pixelwise.datasets.layouts.lists.lines import list_lines, list_text
from pixelwise.errors import DataError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_are_the_same_in_every_unicode_encoding(tmp_path: Path, encoding: str, ending: str):
    file = tmp_path / "train.txt"
    file.write_bytes(ending.join(["a/é.png ", "", "# a comment", "b c"]).encode(encoding))
    assert list_lines(file) == [(1, "a/é.png"), (2, ""), (3, ""), (4, "b c")]


def test_other_bytes_are_kept_as_in_file_names(tmp_path: Path):
    file = tmp_path / "train.txt"
    file.write_bytes(b"\xe9.png\n")
    assert list_text(file) == "\udce9.png\n"


def test_an_empty_file_has_no_lines(tmp_path: Path):
    (tmp_path / "train.txt").write_bytes(b"")
    assert list_lines(tmp_path / "train.txt") == []


@pytest.mark.parametrize("content", [b"\xff\xfea", b"\x89PNG\0\0\0\rIHDR", None])
def test_what_is_no_text_is_d228(tmp_path: Path, content: bytes | None):
    file = tmp_path / "train.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"D228.*train\.txt"):
        list_text(file)
