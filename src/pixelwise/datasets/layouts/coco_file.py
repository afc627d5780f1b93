"""Reads JSON files in COCO's format, written by COCO's authors or by any of the many tools that imitate them."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import msgspec

from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import DocumentError, parse_json, read_document

_HELP = "export the annotations as `COCO instances`, with polygons or run-length encodings"
_KEYS = (b'"images"', b'"annotations"', b'"categories"')
# JavaScript writes it for missing numbers.
_UNDEFINED = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|\bundefined\b', re.DOTALL)
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_EXPECTED = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`(?: - at `\$\.?(?P<where>.*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<field>.+?)`(?: - at `\$\.?(?P<where>.*)`)?")

_Id = int | float | str | None


class Image(msgspec.Struct):
    """One entry of `images`."""

    id: _Id
    file_name: str | None = None
    path: str | None = None
    coco_url: str | None = None
    height: int | float | None = None
    width: int | float | None = None

    @property
    def key(self) -> str:
        """Its id as text: tools write numbers, or numbers as text."""
        return _key(self.id)

    @property
    def names(self) -> tuple[str, ...]:
        """The paths and addresses that it gives, the most usual first."""
        return tuple(dict.fromkeys(name for name in (self.file_name, self.path, self.coco_url) if name))

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.names[0] if self.names else f"with id {self.key}"

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width), if given."""
        return (int(self.height), int(self.width)) if self.height and self.width else None


class Annotation(msgspec.Struct):
    """One entry of `annotations`."""

    image_id: _Id
    category_id: _Id
    id: _Id = 0
    segmentation: msgspec.Raw = msgspec.Raw(b"[]")

    @property
    def image(self) -> str:
        """`Image.key` of its image."""
        return _key(self.image_id)

    @property
    def category(self) -> str:
        """`Category.key` of its category."""
        return _key(self.category_id)


class Category(msgspec.Struct):
    """One entry of `categories`."""

    id: _Id
    name: str
    supercategory: str | None = None

    @property
    def key(self) -> str:
        """Its id as text."""
        return _key(self.id)

    @property
    def order(self) -> tuple[float, str]:
        """Sorts categories by their ids, as numbers if they are."""
        return (float(self.key), "") if self.key.lstrip("-").isdecimal() else (float("inf"), self.key)


class File(msgspec.Struct):
    """The fields of a file that are needed."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def is_coco(path: Path) -> bool:
    """Whether a file has the keys of COCO's format; a damaged file counts as well, so that it gets reported."""
    try:
        content = _content(path)
    except DocumentError:
        return False
    return all(key in content for key in _KEYS)


def unlike_coco(path: Path) -> bool:
    """Whether a JSON file beside COCO's is in another format; False if it is in no format that holds annotations.

    Raises:
        DataError: D230, the file begins like COCO's and is damaged.
    """
    try:
        content = _content(path)
    except DocumentError:
        return True
    begins = _KEYS[0] in content and b'"file_name"' in content
    if begins or _KEYS[1] in content:
        _decoded(path, content, type=msgspec.Raw)
        return True
    return False


def read_coco(file: Path) -> File:
    """Read a file.

    Raises:
        DataError: D230, the file cannot be read, is no JSON, or an entry is not as expected: the message names it.
    """
    try:
        content = _content(file)
    except DocumentError as error:
        raise DataError("D230", error.message, _HELP) from error
    return _decoded(file, content, type=File)


def _decoded(file: Path, content: bytes, type: type) -> File:
    try:
        if b"undefined" in content:
            content = _UNDEFINED.sub(lambda token: token[0] if token[0][:1] == b'"' else b"null", content)
        return parse_json(content, type, file)
    except DocumentError as error:
        reason = _explained(error.reason) if isinstance(error.__cause__, msgspec.ValidationError) else error.reason
        raise DataError("D230", f"{printable(file)}: {reason}", _HELP) from error


def _content(file: Path) -> bytes:
    """The file's content as UTF-8 without a byte order mark, whatever Unicode encoding it has."""
    content = read_document(file)
    encoding = _WIDE.get(content[:2])
    if encoding is not None:
        return content.decode(encoding, "replace").encode("utf-8", "replace")
    return content.removeprefix(codecs.BOM_UTF8)


def _explained(message: str) -> str:
    """A message of the JSON decoder in the words of the format."""
    found = _EXPECTED.match(message)
    if found is not None:
        where, expected = found["where"] or "the file", found["expected"].replace("|", "or").replace("  ", " ")
        return f"{where} is {_article(found['got'])}; expected {_article(expected)}"
    found = _MISSING.match(message)
    if found is not None:
        return f"{found['where'] or 'the file'} has no `{found['field']}`"
    return message


def _article(kind: str) -> str:
    names = {"null": "null", "int": "a number", "float": "a number", "str": "text", "object": "an object",
             "array": "a list", "bool": "true or false"}  # fmt: skip
    return " or ".join(dict.fromkeys(names.get(part.strip(), part.strip()) for part in kind.split(" or ")))


def _key(id: _Id) -> str:
    if isinstance(id, float) and id.is_integer():
        return str(int(id))
    text = str(id).strip()
    return str(int(text)) if text.lstrip("-").isdecimal() and text.isascii() and len(text) < 20 else text
