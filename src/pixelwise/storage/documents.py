"""The gate for structured files of others: JSON, TOML, XML, tables, lists, MessagePack, and what other readers parse.

Every such file is opened and parsed here, within limits on its size, nesting, numbers and encoding. Whatever goes wrong
becomes a `DocumentError` with a reason that readers put into their own error, so that no exception of a parser, or of
code that meets a shape it did not expect, reaches a user. The cause stays attached for `--debug`.

Text is UTF-8, with or without a byte order mark, or UTF-16 with one.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import msgspec

from pixelwise.errors import DataError, PixelwiseError
from pixelwise.machine.stalls import reads
from pixelwise.storage.names import printable

LARGEST = 4 * 1024**3
"""Maximum size of a file of annotations in bytes; COCO's largest has 450 MB."""
LARGEST_XML = 512 * 1024**2
"""Maximum size of an XML file in bytes; its elements take about ten times as much memory."""
LARGEST_TEXT = 256 * 1024**2
"""Maximum size of a list or table in bytes, a million lines of long paths."""
LARGEST_SETTINGS = 4 * 1024**2
"""Maximum size of a TOML file in bytes; the largest recipe has 50 kB."""
_LONGEST_FIELD = 1024 * 1024
_LONGEST_REASON = 300
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
# Mistakes of this program rather than of a file.
_OURS = (NameError, ImportError, AssertionError, NotImplementedError)
# The time that a dotted key takes grows with the square of its parts.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")
# A string, perhaps unfinished, or one of the numbers that Python's json writes and JSON does not have.
_NOT_JSON = re.compile(r'"(?:[^"\\]++|\\.)*+"?|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_BYTE = re.compile(r"^(?:JSON is malformed: )?(.*) \(byte (\d+)\)$")

Kind = TypeVar("Kind")


class DocumentError(DataError):
    """A file is not the document that it should be. Readers give it a code and a help of their own.

    Args:
        path: File.
        reason: What is wrong, as a phrase that follows the name of the file.
        line: The line of the fault, counted from 1; None if there is no single one.

    Attributes:
        path: File.
        reason: What is wrong, and in which line.
    """

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        self._arguments = (path, reason, line)
        reason = printable(reason)
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[:_LONGEST_REASON]}..."
        place = printable(path) if line is None else f"{printable(path)}, line {line}"
        super().__init__("D150", f"{place}: {reason}", "write or export the file again, or remove it")
        self.path = path
        self.reason = reason if line is None else f"line {line}: {reason}"

    @property
    def missing(self) -> bool:
        """Whether there is no such file."""
        return isinstance(self.__cause__, FileNotFoundError)

    def __reduce__(self) -> tuple[type, tuple[Path, str, int | None]]:  # type: ignore[override]
        return type(self), self._arguments


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Context that reads one document: everything that goes wrong within it becomes a `DocumentError`.

    Errors of Pixelwise pass unchanged, and so do mistakes that no file can cause, such as an undefined name.

    Args:
        path: The file that is read.

    Raises:
        DocumentError: The file cannot be read, or is not what the code within expects.
    """
    try:
        with reads(path):
            yield
    except (PixelwiseError, *_OURS):
        raise
    except Exception as error:
        raise DocumentError(path, _reason(error)) from error


def read_document(path: Path, limit: int = LARGEST) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        DocumentError: The file does not exist, cannot be read, is no regular file (opening a named pipe would block
            forever) or is too large.
    """
    with reading(path):
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise DocumentError(path, f"is {kind_of_entry(facts.st_mode)}, not a file")
        with open(path, "rb") as stream:
            content = stream.read(min(limit, max(facts.st_size, 1)) + 1)
            # The size is not known beforehand for files that the system generates, or while they are being written.
            while len(content) <= limit and (more := stream.read(min(limit + 1 - len(content), 1024**2))):
                content += more
    if len(content) > limit:
        sizes = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "bytes"))
        unit, name = next(pair for pair in sizes if limit >= pair[0])
        raise DocumentError(path, f"is larger than {limit // unit} {name}")
    return content


def is_regular(path: Path) -> bool:
    """Whether a path leads to a regular file; False for names that the system cannot have, such as too long ones."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_irregular(path: Path) -> bool:
    """Whether something has a name that is neither a file nor a folder: a pipe, a device, a link to nothing."""
    return os.path.lexists(path) and not path.is_dir() and not is_regular(path)


def peek(path: Path, length: int = LARGEST) -> bytes:
    """The first bytes of a regular file, to recognise it by; empty if it cannot be read.

    Text in UTF-16 becomes UTF-8, and a byte order mark is left out.
    """
    try:
        if not is_regular(path):
            return b""
        with open(path, "rb") as stream:
            content = stream.read(min(length, path.stat().st_size))
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16", "replace").encode() if wide else content.removeprefix(codecs.BOM_UTF8)
    except (OSError, ValueError, MemoryError):
        return b""


def read_text(path: Path, limit: int = LARGEST_TEXT, *, errors: str = "strict") -> str:
    """The text of a file, with the line breaks that it has.

    Args:
        path: File.
        limit: Maximum size in bytes.
        errors: What becomes of bytes that are not UTF-8: `strict` refuses them, `replace` makes them U+FFFD, and
            `surrogateescape` keeps them as Python does in names of files.

    Raises:
        DocumentError: See `read_document`; the text is in another encoding or holds NUL characters.
    """
    return decoded(read_document(path, limit), path, errors=errors)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without their line breaks; the errors are those of `read_text`."""
    lines = re.split(r"\r\n|\r|\n", read_text(path))
    return lines[:-1] if not lines[-1] else lines


def decoded(content: bytes, path: Path, *, errors: str = "strict") -> str:
    """The text of a file's content; see `read_text`."""
    if content.startswith(_UTF32):
        raise DocumentError(path, "is UTF-32; expected UTF-8 or UTF-16")
    mark, encoding = next((found for found in _MARKS if content.startswith(found[0])), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding, errors if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start + len(mark)) + 1
        name = "UTF-8" if encoding == "utf-8" else "UTF-16, as its byte order mark says"
        reason = f"is not {name} (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
        raise DocumentError(path, reason, line) from error
    if "\0" in text:
        if content[:64].count(0) * 3 > len(content[:64]):
            raise DocumentError(path, "looks like UTF-16 without a byte order mark; save the file as UTF-8")
        raise DocumentError(path, "holds NUL characters, so it is not a text file", _line(text, text.index("\0")))
    return text


def read_json(path: Path, kind: type[Kind]) -> Kind:
    """The content of a JSON file as a value of a type that msgspec knows.

    Raises:
        DocumentError: See `read_document` and `parse_json`.
    """
    return parse_json(read_document(path), kind, path)


def parse_json(content: bytes, kind: type[Kind], path: Path) -> Kind:
    """The value in the content of a JSON file. NaN and infinities, which Python's json writes, count as null.

    Args:
        content: Content of the file.
        kind: Type of the value, as msgspec describes types.
        path: The file, for messages.

    Raises:
        DocumentError: The content is not JSON or does not fit the type.
    """
    with reading(path):
        marked = content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        source = decoded(content, path).encode() if marked else content
        try:
            return msgspec.json.decode(source, type=kind)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = decoded(source, path)  # names the line of a byte that is not UTF-8
            if "NaN" not in text and "Infinity" not in text:
                raise _no_json(path, error, source) from error
            plain = _NOT_JSON.sub(lambda found: found[0] if found[0][0] == '"' else "null", text)
            if plain == text:
                raise _no_json(path, error, source) from error
        return parse_json(plain.encode(), kind, path)


def parse_msgpack(content: bytes, kind: type[Kind], path: Path) -> Kind:
    """The value in the content of a MessagePack file.

    Raises:
        DocumentError: The content is damaged or does not fit the type.
    """
    with reading(path):
        return msgspec.msgpack.decode(content, type=kind)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        DocumentError: See `read_text` and `parse_toml`.
    """
    return parse_toml(read_text(path, LARGEST_SETTINGS), path)


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The values in the text of a TOML file.

    Raises:
        DocumentError: The text is not TOML, or is nested too deeply.
    """
    long = _LONG_KEY.search(text)
    if long is not None:
        raise DocumentError(path, "has a key of more than 64 parts", _line(text, long.start()))
    with reading(path):
        return tomllib.loads(text)


def read_xml(path: Path, limit: int = LARGEST_XML) -> ElementTree.Element:
    """The root element of an XML file without a document type, whose entities can exhaust memory.

    Raises:
        DocumentError: See `read_text`; the file is not XML, or declares a document type.
    """
    content = read_document(path, limit)
    try:
        text = decoded(content, path)
    except DocumentError as error:
        declared = re.match(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{1,40})""", content)
        if declared is None or declared[1].lower() in (b"utf-8", b"utf8"):
            raise
        raise DocumentError(path, f"is in the encoding {declared[1].decode('ascii')}; save it as UTF-8") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DocumentError(path, "declares a document type, which exports of annotations never do")
    with reading(path):
        # Text is parsed whatever encoding it declares: it has been decoded.
        return ElementTree.fromstring(text)


def parse_table(lines: Iterable[str], delimiter: str, path: Path, *, spaced: bool = False) -> list[list[str]]:
    """The cells of each row of a table (CSV).

    Args:
        lines: Lines of the table.
        delimiter: Character between cells.
        path: The file, for messages.
        spaced: Whether spaces after a delimiter do not belong to the cell.

    Raises:
        DocumentError: The rows cannot be told apart, or a cell is longer than a mebibyte.
    """
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with reading(path):
            return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=spaced))
    finally:
        csv.field_size_limit(before)


def whole_number(text: str) -> int | None:
    """The number that a text of 1 to 18 decimal digits states, perhaps after a sign; None for any other text.

    Python refuses to convert thousands of digits, and accepts digits of other scripts, underscores and spaces.
    """
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None


def kind_of_entry(mode: int) -> str:
    """Name of the kind of directory entry that has this `st_mode`."""
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISCHR, "a device"),
    ):
        if test(mode):
            return name
    return "a special file"


def _reason(error: Exception) -> str:
    """What is wrong with a file, in the words of its user, from the exception of whatever read it."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"is not valid TOML: {text}"
    if isinstance(error, ElementTree.ParseError):
        return f"is not valid XML: {text}"
    if isinstance(error, KeyError):
        return f"has no {error.args[0]!r}" if error.args else "lacks an entry"
    if isinstance(error, OverflowError):
        return f"holds a number that is too large: {text}"
    if "int_max_str_digits" in text:
        return "holds an integer of thousands of digits"
    if isinstance(error, UnicodeError):
        return "holds text that is not UTF-8"
    return text or type(error).__name__


def _no_json(path: Path, error: Exception, content: bytes) -> DocumentError:
    found = _BYTE.match(str(error))
    if found is None:
        cut = "truncated" in str(error)
        return DocumentError(path, "is not valid JSON: it ends too early" if cut else f"is not valid JSON: {error}")
    line = content.count(b"\n", 0, int(found[2])) + 1
    return DocumentError(path, f"is not valid JSON: {found[1]}", line)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
