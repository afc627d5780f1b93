from pathlib import Path

import pytest

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.lists.rows import columns_of, is_prose, names_in, read_rows, read_split_file
from pixelwise.errors import DataError


def rows(folder: Path, text: str, name: str = "train.txt") -> list[tuple[str, str | None]]:
    problems: list[Finding] = []
    (folder / name).write_text(text, "utf-8")
    found = read_rows(folder / name, problems)
    assert problems == []
    return [(row.image, row.mask) for row in found]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a b", ("a", "b")),
        ("a\tb", ("a", "b")),
        ("a, b", ("a", "b")),
        ("a;b", ("a", "b")),
        ("'a' \"b c\"", None),
        ('"a" "b c"', ("a", "b c")),
        ('"a,x" , "b c"', ("a,x", "b c")),
        ("x/a b.png y/a b.png", ("x/a b.png", "y/a b.png")),
        ("a", ("a", None)),
        ("a 1", ("a", None)),
        ("a  -1", ("a", None)),
        ("a,0", ("a", None)),
        ("a b c", ("a b c", None)),
    ],
)
def test_the_fields_of_a_line(tmp_path: Path, line: str, fields: tuple[str, str | None] | None):
    if fields is not None:
        assert rows(tmp_path, line) == [fields]


def test_a_line_may_be_a_name_with_spaces_or_a_name_with_a_flag(tmp_path: Path):
    (tmp_path / "train.txt").write_text("scan 1\n'b c'\n")
    one, other = read_rows(tmp_path / "train.txt", [])
    assert one.names == ("scan 1", "scan")
    assert other.names[0] == "b c"


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("image,mask", "a,b", ("a", "b")),
        ("id;label;filename", "1;b;a", ("a", "b")),
        ("filename\tmask", '"a"\tb', ("a", "b")),
        ("id", "a", ("a", None)),
    ],
)
def test_columns_go_by_their_names(tmp_path: Path, header: str, row: str, expected: tuple[str, str | None]):
    assert rows(tmp_path, f"{header}\n{row}\n", "train.csv") == [expected]


def test_a_header_without_a_mask_gives_no_columns(tmp_path: Path):
    (tmp_path / "a.csv").write_text("image,score\na,1\n")
    (tmp_path / "b.csv").write_text("")
    assert columns_of(tmp_path / "a.csv") is columns_of(tmp_path / "b.csv") is None


def test_malformed_lines_are_d228_with_number(tmp_path: Path):
    problems: list[Finding] = []
    (tmp_path / "train.txt").write_text("a.png b.png\nc.png\nd.png e.png\n")
    assert [row.number for row in read_rows(tmp_path / "train.txt", problems)] == [1, 3]
    assert [("line 2 is 'c.png'" in one.message, one.code) for one in problems] == [(True, "D228")]


def test_a_json_file_holds_names_or_pairs(tmp_path: Path):
    file = tmp_path / "splits.json"
    file.write_text('{"train": ["a"], "VALID": [["b", "c"]]}', "utf-8")
    assert {s: [(r.image, r.mask) for r in f] for s, f in read_split_file(file).items()} == {
        "train": [("a", None)],
        "val": [("b", None)],
    }
    file.write_text('{"train": [["a", "b"]]}', "utf-8")
    assert [(row.image, row.mask) for row in read_split_file(file)["train"]] == [("a", "b")]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"a": []}', '{"train": {}}', '{"train": [[]]}', '{"train": [""]}', '{"train": [1]}']
)
def test_another_json_file_is_d228(tmp_path: Path, content: str):
    file = tmp_path / "splits.json"
    file.write_text(content)
    with pytest.raises(DataError, match=r"D228.*splits\.json"):
        read_split_file(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Notes about the training\nof last week\n", True),
        ("epoch 1 loss 0.5\n", True),
        ("a\nb c\n", False),
        ("my first photo.png\nmy second photo.png", False),
        ("images/a b c\n", False),
        ("", False),
    ],
)
def test_prose_is_told_from_names(tmp_path: Path, text: str, expected: bool):
    (tmp_path / "train.txt").write_text(text)
    assert is_prose(tmp_path / "train.txt") == expected


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("a", ["a"]),
        ("a 1", ["a"]),
        ("a  -1", ["a"]),
        ("1", ["1"]),
        ("a b c", ["a", "b", "c"]),
        ("x/a.jpg", ["a"]),
        ("x\\a.jpg 1", ["a"]),
        ("/x/a.jpg /y/a.png", ["a"]),
        ("/x/a.jpg /y/b.png", ["/x/a.jpg /y/b.png"]),
        ("a.jpg b.jpg", ["a.jpg b.jpg"]),
    ],
)
def test_names_in_a_line(line: str, names: list[str]):
    assert names_in(line) == names
