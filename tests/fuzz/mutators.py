"""Mutants of files: damage as disks and networks do it, and content as an attacker or a buggy exporter writes it.

Everything is a function of the seed's bytes and a random generator, so a mutant can be made again from its number.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

LARGEST = 4 * 1024**2
"""Bytes to which a mutant is cut."""
EXTREME_NUMBERS = (
    "0", "-1", "1", "-0.0", "1e999", "-1e999", "NaN", "Infinity", "1e-400", "2147483648", "4294967296",
    "9223372036854775808", "18446744073709551616", "1" * 400, "1" * 5000, "0x10", "1_000", "٣", "1.5",
    "1e308", "007", "",
)  # fmt: skip
"""Texts that take the place of a number."""
EXTREME_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**31, 2**63, 2**64, 10**400, "", "x", "\x1b[31m", "\0", "../../../x",
    "a" * 70_000, [], {}, [[]], [None], [[1, "a"]], {"": ""}, [{}],
)  # fmt: skip
"""Values that take the place of another in JSON."""
TEXTS = (
    "\x00",
    "\x1b[2J",
    "\u202e",
    "\ud800",
    "../../../../tmp/x",
    "/etc/passwd",
    "C:\\x",
    "con.png",
    "%00",
    "é",
    "\ufeff",
)
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp037")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[^\s,:;=<>\"'\[\]{}()]+")
_DEPTHS = (100, 3000, 100_000)
_FIELDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def mutant(seed: bytes, dice: random.Random, *, text: bool) -> bytes:
    """A changed copy of a file's content.

    Args:
        seed: Content of a valid file.
        dice: Source of all decisions.
        text: Whether the file is text; one mutant in four is then changed as bytes all the same.
    """
    kinds = _TEXT if text and dice.random() < 0.75 else _BINARY
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        seed = dice.choice(kinds)(seed, dice)[:LARGEST]
    return seed


def _place(data: bytes, dice: random.Random) -> int:
    """A position; every second one lies in the first part of the file, where headers are."""
    end = min(len(data), 256) if dice.random() < 0.5 else len(data)
    return dice.randrange(end) if end else 0


def _truncated(data: bytes, dice: random.Random) -> bytes:
    return data[: _place(data, dice)]


def _extended(data: bytes, dice: random.Random) -> bytes:
    return data + dice.randbytes(dice.choice((1, 16, 4096)))


def _bits_flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 2, 8, 64)) if changed else 0):
        changed[_place(data, dice)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _field(data: bytes, dice: random.Random) -> bytes:
    """A number of 1 to 8 bytes, in either byte order, becomes an extreme one."""
    width = dice.choice((1, 2, 4, 4, 8))
    value = dice.choice(_FIELDS) & ((1 << 8 * width) - 1)
    start = _place(data, dice)
    return data[:start] + value.to_bytes(width, dice.choice(("little", "big"))) + data[start + width :]


def _random_bytes(data: bytes, dice: random.Random) -> bytes:
    start, count = _place(data, dice), dice.choice((1, 4, 16, 256))
    return data[:start] + dice.randbytes(count) + data[start + count :]


def _block_removed(data: bytes, dice: random.Random) -> bytes:
    start, count = _place(data, dice), dice.choice((1, 4, 12, 64, 1024))
    return data[:start] + data[start + count :]


def _block_repeated(data: bytes, dice: random.Random) -> bytes:
    start, count = _place(data, dice), dice.choice((1, 4, 12, 64, 1024))
    return data[: start + count] + data[start : start + count] * dice.choice((1, 2, 50)) + data[start + count :]


def _block_moved(data: bytes, dice: random.Random) -> bytes:
    start, count, to = _place(data, dice), dice.choice((4, 12, 64, 1024)), _place(data, dice)
    rest = data[:start] + data[start + count :]
    return rest[:to] + data[start : start + count] + rest[to:]


def _zeroed(data: bytes, dice: random.Random) -> bytes:
    start, count = _place(data, dice), dice.choice((4, 64, 4096))
    return data[:start] + bytes(min(count, len(data) - start)) + data[start + count :]


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass" if any("\ud800" <= c < "\udc80" for c in text) else "surrogateescape")


def _replaced(data: bytes, dice: random.Random, pattern: re.Pattern[str], values: tuple[str, ...]) -> bytes:
    text = _decoded(data)
    found = list(pattern.finditer(text))
    if not found:
        return data
    one = dice.choice(found)
    return _safely(text[: one.start()] + dice.choice(values) + text[one.end() :])


def _safely(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _number_swapped(data: bytes, dice: random.Random) -> bytes:
    return _replaced(data, dice, _NUMBER, EXTREME_NUMBERS)


def _word_swapped(data: bytes, dice: random.Random) -> bytes:
    return _replaced(data, dice, _WORD, (*TEXTS, *EXTREME_NUMBERS, "null", "true", "[]", "{}", "w" * 300_000))


def _nested(data: bytes, dice: random.Random) -> bytes:
    opening, closing = dice.choice((("[", "]"), ('{"a":', "}"), ("<a>", "</a>"), ("(", ")"), ("a.", ""), ("- ", "")))
    depth, start = dice.choice(_DEPTHS), _place(data, dice)
    inner = opening * depth + (closing * depth if dice.random() < 0.5 else "")
    return data[:start] + inner.encode() + data[start:]


def _line_removed(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    del lines[dice.randrange(len(lines))]
    return b"\n".join(lines)


def _line_repeated(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    place = dice.randrange(len(lines))
    return b"\n".join([*lines[:place], *[lines[place]] * dice.choice((2, 3, 1000)), *lines[place + 1 :]])


def _encoded_otherwise(data: bytes, dice: random.Random) -> bytes:
    return _decoded(data).encode(dice.choice(ENCODINGS), "replace")


def _inserted(data: bytes, dice: random.Random) -> bytes:
    start = _place(data, dice)
    return (
        data[:start]
        + _safely(dice.choice((*TEXTS, '"', "'", "\n", ",", "<!DOCTYPE a>", "{", "]", "=", "\t")))
        + data[start:]
    )


def _declared_otherwise(data: bytes, dice: random.Random) -> bytes:
    name = dice.choice(("utf-16", "koi8-q", "iso-8859-1", "utf-7", "base64", "x" * 100))
    plain = re.sub(rb"<\?xml[^>]*\?>", b"", data)
    return f'<?xml version="1.0" encoding="{name}"?>'.encode() + plain


def _document_changed(data: bytes, dice: random.Random) -> bytes:
    """One value of a JSON document is replaced, removed or repeated under its key."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _number_swapped(data, dice)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in pairs:
            places.append((value, key))
            walk(inner)

    walk(document)
    if not places:
        return json.dumps(dice.choice(EXTREME_VALUES)).encode()
    for _ in range(dice.choice((1, 1, 3))):
        parent, key = dice.choice(places)
        if (isinstance(parent, list) and key >= len(parent)) or (isinstance(parent, dict) and key not in parent):
            continue
        action = dice.random()
        if action < 0.7:
            parent[key] = dice.choice(EXTREME_VALUES)
        elif action < 0.85:
            del parent[key]
        elif isinstance(parent, list):
            parent.extend([parent[key]] * dice.choice((1, 100)))
        else:
            parent[dice.choice(("", "x", f"{key}2", "\x1b"))] = parent[key]
    text = json.dumps(document)
    if dice.random() < 0.1:
        text = re.sub(r'"(\w+)":', lambda found: f"{found[0]} 1, {found[0]}", text, count=1)  # a key twice
    return text.encode()


Change = Callable[[bytes, random.Random], bytes]
_BINARY: tuple[Change, ...] = (
    _truncated, _extended, _bits_flipped, _bits_flipped, _field, _field, _field, _random_bytes, _block_removed,
    _block_repeated, _block_moved, _zeroed,
)  # fmt: skip
_TEXT: tuple[Change, ...] = (
    _truncated, _number_swapped, _number_swapped, _word_swapped, _nested, _line_removed, _line_repeated,
    _encoded_otherwise, _inserted, _declared_otherwise, _document_changed, _document_changed, _document_changed,
)  # fmt: skip
