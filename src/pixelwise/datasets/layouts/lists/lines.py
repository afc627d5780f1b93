"""Reads lists of files: text with one entry per line, in the encodings that editors and shells write."""

from __future__ import annotations

import codecs
from pathlib import Path

from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import LARGEST_TEXT, DocumentError, read_document

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def list_text(file: Path) -> str:
    """The text of a list, without a byte order mark.

    UTF-16 is recognised by its mark or by its zero bytes. Bytes that are not UTF-8 become surrogates, as in the names
    of files; `NamedImages` also reads them as Western text.

    Raises:
        DataError: D228, the file cannot be read or is no text.
    """
    try:
        content = read_document(file, LARGEST_TEXT)
    except DocumentError as error:
        raise DataError("D228", error.message, "save the list as text that can be read") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None) or _unmarked(content)
    try:
        text = content.decode(encoding, "strict" if encoding.startswith("utf-16") else "surrogateescape")
    except UnicodeDecodeError as error:
        raise DataError("D228", f"{printable(file)}: is not valid UTF-16", "save the list as UTF-8") from error
    if "\0" in text:
        raise DataError("D228", f"{printable(file)}: holds zero bytes, so it is no text", "save the list as UTF-8 text")
    return text


def list_lines(file: Path) -> list[tuple[int, str]]:
    """Number and text of each line, stripped; comments (`#`) are empty.

    Raises:
        DataError: D228, the file cannot be read or is no text.
    """
    lines = (line.strip() for line in list_text(file).splitlines())
    return [(number, "" if line.startswith("#") else line) for number, line in enumerate(lines, 1)]


def _unmarked(content: bytes) -> str:
    """The encoding of text without a byte order mark."""
    head = content[:400]
    if len(content) % 2 == 0 and head:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if 2 * odd > len(head) // 2 and not even:
            return "utf-16-le"
        if 2 * even > len(head) // 2 and not odd:
            return "utf-16-be"
    return "utf-8"
