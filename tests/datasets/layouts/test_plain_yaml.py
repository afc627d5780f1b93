from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from pixelwise.datasets.layouts import plain_yaml
from pixelwise.datasets.layouts.plain_yaml import (
    DEEPEST,
    LARGEST_FILE,
    MOST_NODES,
    entries,
    items,
    line_of,
    read_yaml,
    text_of,
)
from pixelwise.errors import DataError

LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])]
LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)
)  # fmt: skip
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 30)
)  # fmt: skip


@pytest.fixture(params=LOADERS, autouse=True)
def _each_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plain_yaml, "_LOADER", request.param)


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "data.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def top(folder: Path, text: str | bytes) -> dict[str, yaml.Node]:
    file = written(folder, text)
    return entries(file, read_yaml(file))


def test_values_are_the_text_of_the_file(tmp_path: Path):
    found = top(tmp_path, "a: no\nb: 0x10\nc: 2024-01-01\nd: ~\n'e': \"f: g\"\nh: |\n  two\n  lines\n")
    assert {key: text_of(value) for key, value in found.items()} == {
        "a": "no", "b": "0x10", "c": "2024-01-01", "d": "~", "e": "f: g", "h": "two lines",
    }  # fmt: skip
    assert line_of(found["d"]) == 4


def test_an_alias_is_what_it_names(tmp_path: Path):
    found = top(tmp_path, "all: &classes [road, car]\nnames: *classes\n")
    assert [text_of(node) for node in items(found["names"]) or ()] == ["road", "car"]


def test_an_empty_file_holds_nothing(tmp_path: Path):
    assert top(tmp_path, "") == {}
    assert top(tmp_path, "# only a comment\n") == {}
    assert top(tmp_path, "- a\n- b\n") == {}


def test_a_byte_order_mark_and_comments_that_are_no_text_do_not_matter(tmp_path: Path):
    assert list(top(tmp_path, b"\xef\xbb\xbfnames: [a]\n# caf\xe9\n")) == ["names"]
    with pytest.raises(DataError, match=r"line 2: a text is not UTF-8"):
        top(tmp_path, b"names:\n- caf\xe9\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\n", 3),  # the list has no end
        ("a: 1\nb: *unknown\n", 2),
        ("a: 1\nb:\n\t- x\n", 3),  # tabs are no indentation
        ('a: 1\nb: "\\q"\n', 2),
        ("a: 1\n---\nb: 2\n", 2),  # two documents
        ("a: 1\nb: 2\na: 3\n", 3),
        ("a: 1\n'a': 3\n", 2),
        ("a: 1\n? [b, c]\n: 2\n", 2),
        ("a: 1\nb: \x00\n", 2),
        ("a: 1\nb: \x07\n", 2),
        ("a: " + "é" * 50 + "\nb: \x07\nc: 1\n", 2),
        ("a: 1\nb: " + "[" * (DEEPEST + 1), 2),
        pytest.param("a: 1\nb: [" + "[]," * MOST_NODES, 2, id="more than is meant"),
        ("%YAML 9.0\n---\na: 1\n", 1),
    ],
)
def test_what_cannot_be_read_is_d230_with_its_line(tmp_path: Path, text: str, line: int):
    with pytest.raises(DataError) as caught:
        top(tmp_path, text)
    assert caught.value.code == "D230"
    assert f"data.yaml, line {line}: " in caught.value.message


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path):
    with pytest.raises(DataError, match=r"data\.yaml") as caught:
        top(tmp_path, b"a: 1\n" + b"#" * LARGEST_FILE)
    assert caught.value.code == "D230"


def test_a_file_that_does_not_exist_is_d230(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        read_yaml(tmp_path / "none.yaml")
    assert caught.value.code == "D230"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LAUGHS, id="billion laughs"),
        pytest.param(MERGES, id="billion merges"),
        pytest.param("a: &a [*a, *a]\nb: &b {<<: *b}\n", id="recursion"),
        pytest.param("a: " + "9" * 5000 + "\nb: " + "9:" * 60000 + "9\n", id="long integers"),
        pytest.param("a: !!python/object/apply:os.system ['false']\nb: !!binary '***'\nc: !!int ''\n", id="tags"),
        pytest.param("a: 9999-99-99\nb: !!timestamp no\n", id="dates"),
        pytest.param("[" * 100_000, id="lists in lists"),
        pytest.param("{a: " * 60_000, id="mappings in mappings"),
        pytest.param("- " * 100_000, id="blocks in blocks"),
        pytest.param("? " * 100_000, id="keys in keys"),
        pytest.param("a: [" + "[]," * 80_000 + "]", id="many lists"),
        pytest.param("".join(f"k{i}: &a{i} v\n" for i in range(12_000)), id="many keys and anchors"),
        pytest.param("a: '" + "x" * 250_000, id="a quote without an end"),
        pytest.param("a: " + "&a" * 120_000, id="a long anchor"),
        pytest.param("!" * 250_000, id="a long tag"),
        pytest.param("x" * 250_000 + ": 1", id="a long key"),
    ],
)
def test_hostile_files_end_soon_and_in_nothing_else(tmp_path: Path, text: str):
    began = time.process_time()
    try:
        found = top(tmp_path, text)
    except DataError as error:
        assert error.code == "D230"  # noqa: PT017
    else:
        assert all(isinstance(node, yaml.Node) for node in found.values())
    assert time.process_time() - began < 20
