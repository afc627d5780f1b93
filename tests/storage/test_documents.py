"""What the gate reads, refuses and says, with the files written byte by byte."""

import contextlib
import csv
import json
import math
import os
import pickle
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import DataError, RecipeError
from pixelwise.storage.documents import (
    DocumentError,
    decoded,
    parse_json,
    parse_msgpack,
    parse_table,
    parse_toml,
    peek,
    read_document,
    read_json,
    read_lines,
    read_text,
    read_toml,
    read_xml,
    reading,
    whole_number,
)

FILE = Path("folder/file.txt")


class Box(msgspec.Struct):
    side: int
    area: float | None = None
    rest: Any = None


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(DocumentError) as caught:
        call(*arguments, **options)
    assert caught.value.help
    return caught.value.reason


def written(folder: Path, content: bytes, name: str = "file.txt") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"caf\xc3\xa9\n", "café\n"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "café"),
        (b"\xff\xfec\0a\0f\0\xe9\0", "café"),
        (b"\xfe\xff\0c\0a\0f\0\xe9", "café"),
        (b"", ""),
    ],
)
def test_text_is_utf_8_or_utf_16_with_a_mark(tmp_path: Path, content: bytes, text: str):
    assert read_text(written(tmp_path, content)) == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\nb\ncaf\xe9\n", "line 3: is not UTF-8 (byte 0xe9); save the file as UTF-8"),
        (b"\xef\xbb\xbfa\ncaf\xe9", "line 2: is not UTF-8 (byte 0xe9); save the file as UTF-8"),
        (b"\xff\xfe\0\0a\0\0\0", "is UTF-32; expected UTF-8 or UTF-16"),
        ("ab\n".encode("utf-16-le"), "looks like UTF-16 without a byte order mark; save the file as UTF-8"),
        (b"first line\nsecond\0line", "line 2: holds NUL characters, so it is not a text file"),
        (b"\xff\xfea", "line 1: is not UTF-16, as its byte order mark says (byte 0x61); save the file as UTF-8"),
    ],
)
def test_other_encodings_are_named(tmp_path: Path, content: bytes, reason: str):
    assert refusal(read_text, written(tmp_path, content)) == reason


def test_bytes_of_file_names_can_be_kept(tmp_path: Path):
    assert read_text(written(tmp_path, b"a\nb\xe9\n"), errors="surrogateescape") == "a\nb\udce9\n"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"a\r\nb\rc d\x0be\n", ["a", "b", "c d\x0be"]),
    ],
)
def test_lines_end_with_line_breaks(tmp_path: Path, content: bytes, lines: list[str]):
    assert read_lines(written(tmp_path, content)) == lines


def test_only_regular_files_within_the_limit_are_read(tmp_path: Path):
    assert read_document(written(tmp_path, b"12345"), 5) == b"12345"
    assert refusal(read_document, written(tmp_path, b"x" * 2049), 2048) == "is larger than 2 KiB"
    assert refusal(read_document, tmp_path) == "is a folder, not a file"
    assert refusal(read_document, tmp_path / "none") == "there is no such file"
    assert refusal(read_document, tmp_path / ("n" * 300)).startswith("cannot be read: ")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert refusal(read_document, tmp_path / "pipe") == "is a named pipe, not a file"
        assert peek(tmp_path / "pipe") == b""
    if Path("/proc/self/status").exists():
        assert b"Name:" in read_document(Path("/proc/self/status"))  # its size is said to be 0


def test_the_beginning_of_a_file_is_never_an_error(tmp_path: Path):
    assert peek(written(tmp_path, b"abcdef"), 3) == b"abc"
    assert peek(tmp_path / "none") == peek(tmp_path) == peek(Path("a\0b")) == b""


def test_json_has_a_type_and_errors_have_a_line(tmp_path: Path):
    assert read_json(written(tmp_path, b'{"side": 2, "area": 4, "more": [1]}'), Box) == Box(2, 4.0)
    assert (
        refusal(parse_json, b'{"side":\n 2,\n]', Box, FILE) == "line 3: is not valid JSON: object keys must be strings"
    )
    assert refusal(parse_json, b'{"side": "2"}', Box, FILE) == "Expected `int`, got `str` - at `$.side`"
    assert refusal(parse_json, b'{"side": 1, "rest": "\xff"}', Box, FILE).startswith("line 1: is not UTF-8 (byte 0xff)")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_of_every_encoding_with_a_mark(encoding: str):
    assert parse_json('{"side": 2, "rest": "é"}'.encode(encoding), Box, FILE) == Box(2, rest="é")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"side": 1, "area": NaN}', Box(1)),
        ('{"side": 1, "rest": [Infinity, -Infinity, "NaN"]}', Box(1, rest=[None, None, "NaN"])),
        ('{"side": 1, "rest": [NaN, "a \\" NaN", "\\\\"]}', Box(1, rest=[None, 'a " NaN', "\\"])),
        ('{"side": 1, "unused": {"NaN": NaN}}', Box(1)),
    ],
)  # fmt: skip
def test_numbers_that_json_lacks_count_as_null(text: str, value: Box):
    assert parse_json(text.encode(), Box, FILE) == value


@pytest.mark.parametrize("text", ['{"side": NaN}', '{"side": 1, NaN}', '{"side": 1, "rest": "NaN', "NaN"])
def test_numbers_that_json_lacks_do_not_make_a_value(text: str):
    assert refusal(parse_json, text.encode(), Box, FILE)


DEEP = 100_000


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: parse_json(b"[" * DEEP, list[Any], FILE), "is nested too deeply"),
        (lambda: parse_json(b'{"side": 1, "unused": ' + b"[" * DEEP, Box, FILE), "is nested too deeply"),
        (lambda: parse_json(b"[" * DEEP + b"]" * DEEP, msgspec.Raw, FILE), "is nested too deeply"),
        (lambda: parse_msgpack(b"\x91" * DEEP, Any, FILE), "is nested too deeply"),
        (lambda: parse_toml("a = " + "[" * DEEP, FILE), "is nested too deeply"),
        (lambda: parse_toml("a = " + "{b = " * DEEP, FILE), "is nested too deeply"),
        (lambda: parse_toml("x = 1\na" + ".a" * DEEP + " = 1", FILE), "line 2: has a key of more than 64 parts"),
        (lambda: parse_toml("[a" + ' . "b c" ' * DEEP + "]", FILE), "line 1: has a key of more than 64 parts"),
        (lambda: parse_toml("a = " + "1" * 5000, FILE), "holds an integer of thousands of digits"),
        (lambda: parse_json(b'{"side": ' + b"1" * 5000 + b"}", Box, FILE), "Integer value out of range - at `$.side`"),
        (lambda: parse_json(b'{"side": 1, "area": 1e999}', Box, FILE), "Number out of range - at `$.area`"),
        (lambda: parse_msgpack(b"\xdd\xff\xff\xff\xff", Any, FILE), "Input data was truncated"),
        (lambda: parse_table(["a," + "x" * 2**21], ",", FILE), "field larger than field limit (1048576)"),
    ],
)  # fmt: skip
def test_depth_and_numbers_are_limited(call: Any, reason: str):
    start = time.monotonic()
    assert refusal(call) == reason
    assert time.monotonic() - start < 5


def test_patterns_take_linear_time():
    start = time.monotonic()
    assert refusal(parse_json, b'["NaN", "' + b'\\"' * 10**6, Any, FILE)
    assert refusal(parse_toml, "a" * 10**6, FILE)
    assert refusal(parse_toml, '"' * 10**6, FILE)
    assert time.monotonic() - start < 5


def test_toml_is_read_with_a_mark_and_refused_with_a_place(tmp_path: Path):
    assert read_toml(written(tmp_path, b"\xef\xbb\xbfa = 1.5\n[b.c]\nd = 2")) == {"a": 1.5, "b": {"c": {"d": 2}}}
    assert "line 2" in refusal(read_toml, written(tmp_path, b"a = 1\nb =\n"))
    assert refusal(read_toml, written(tmp_path, b"#" * (4 * 1024**2 + 1))) == "is larger than 4 MiB"


def test_xml_without_entities_in_any_encoding_that_is_text(tmp_path: Path):
    document = '<?xml version="1.0" encoding="ENCODING"?><a b="é"/>'
    for encoding, declared in (("utf-8", "utf-8"), ("utf-16", "utf-16"), ("utf-8", "no-such-encoding")):
        file = written(tmp_path, document.replace("ENCODING", declared).encode(encoding))
        assert read_xml(file).get("b") == "é"
    latin = written(tmp_path, document.replace("ENCODING", "iso-8859-1").encode("latin-1"))
    assert refusal(read_xml, latin) == "is in the encoding iso-8859-1; save it as UTF-8"
    for encoding in ("utf-8", "utf-16"):
        bomb = '<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>'.encode(encoding)
        assert refusal(read_xml, written(tmp_path, bomb)) == (
            "declares a document type, which exports of annotations never do"
        )
    assert "line 1" in refusal(read_xml, written(tmp_path, b"<a><b></a>"))
    deep = read_xml(written(tmp_path, b"<a>" * 10**5 + b"</a>" * 10**5))
    assert sum(1 for _ in deep.iter("a")) == 10**5


def test_tables_restore_the_limit_of_other_readers():
    before = csv.field_size_limit()
    assert parse_table(["a;b", '"c;d";e'], ";", FILE) == [["a", "b"], ["c;d", "e"]]
    assert refusal(parse_table, ["x" * 2**21], ",", FILE)
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("-12", -12), ("+3", 3), ("9" * 18, 10**18 - 1), ("1" * 19, None), ("1_0", None), (" 1", None),
     ("", None), ("1.0", None), ("٣", None), ("²", None), ("1\n", None)],
)  # fmt: skip
def test_whole_numbers_have_at_most_18_digits(text: str, number: int | None):
    assert whole_number(text) == number


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("shapes"), "has no 'shapes'"),
        (TypeError("'int' object is not iterable"), "'int' object is not iterable"),
        (IndexError(), "IndexError"),
        (RecursionError("deep"), "is nested too deeply"),
        (MemoryError(), "needs more memory than there is"),
        (OverflowError("int too large"), "holds a number that is too large: int too large"),
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
        (ValueError("a\x1b[31mred\nsecond line"), "a\\x1b[31mred"),
        (ZeroDivisionError("x" * 1000), "x" * 300 + "..."),
        (LookupError("unknown encoding: koi8-q"), "unknown encoding: koi8-q"),
    ],
)  # fmt: skip
def test_everything_within_becomes_an_error_of_the_document(error: Exception, reason: str):
    with pytest.raises(DocumentError) as caught, reading(FILE):
        raise error
    assert caught.value.reason == reason
    assert caught.value.code == "D150"
    assert caught.value.message == f"{FILE}: {reason}"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [NameError("x"), ImportError(), AssertionError(), NotImplementedError(),
                                   KeyboardInterrupt(), RecipeError("R200", "no")])  # fmt: skip
def test_mistakes_of_the_program_and_its_own_errors_pass(error: BaseException):
    with pytest.raises(type(error)) as caught, reading(FILE):
        raise error
    assert caught.value is error


def test_the_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(DocumentError(FILE, "is empty", 3)))
    assert (type(error), error.reason, error.path, error.code) == (DocumentError, "line 3: is empty", FILE, "D150")
    assert error.message == f"{FILE}, line 3: is empty"
    assert isinstance(error, DataError)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes):
    for parse in (
        lambda: decoded(content, FILE),
        lambda: parse_json(content, list[Any], FILE),
        lambda: parse_json(content, Box, FILE),
        lambda: parse_msgpack(content, dict[str, Any], FILE),
        lambda: parse_toml(decoded(content, FILE), FILE),
        lambda: parse_table(decoded(content, FILE, errors="surrogateescape").split("\n"), ",", FILE),
    ):
        with contextlib.suppress(DocumentError):
            parse()


@pytest.mark.heavy
@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.floats() | st.text() | st.integers(-(2**63), 2**63),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_pythons_json_writes_is_read(value: Any):
    def plain(found: Any) -> Any:
        if isinstance(found, list):
            return [plain(one) for one in found]
        if isinstance(found, dict):
            return {key: plain(one) for key, one in found.items()}
        return None if isinstance(found, float) and not math.isfinite(found) else found

    assert parse_json(json.dumps(value).encode(), Any, FILE) == plain(value)  # type: ignore[arg-type]
