"""Names of files and folders: printable, portable and distinct names, and ids derived from paths.

Every file or folder that Pixelwise names after something from a user or a data set gets its name from `portable` or
`distinct`, because folders move between Linux and Windows, and a name that a system does not accept, or takes for
another file's name, would be lost there.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import TypeVar

AnyPath = TypeVar("AnyPath", bound=PurePath)

LONGEST_NAME = 255
"""Maximum length of a file name in bytes of UTF-8; some systems count characters, of which there are never more."""
_FORBIDDEN = frozenset('<>:"/\\|?*')
_PORTS = "123456789¹²³"
# Device names of Windows, reserved in every folder and with any file extension.
_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", "conin$", "conout$", *(f"com{n}" for n in _PORTS), *(f"lpt{n}" for n in _PORTS))
)
_DIGEST = 12
_ADDRESSES = ("s3:/", "gs:/", "az:/", "https:/", "http:/", "hf:/", "hub:/")


def printable(name: str | os.PathLike[str]) -> str:
    r"""The name with undecodable bytes and control characters escaped, such as `b\\xff.png` or `a\\n.png`."""
    text = os.fspath(name)
    if text.startswith(_ADDRESSES):
        text = _as_address(text)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _as_address(text: str) -> str:
    """An address that is kept as a path, with both slashes and without what gives access to it."""
    scheme, _, rest = text.partition(":/")
    host, slash, path = rest.lstrip("/").partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}".partition("?")[0]


def is_plain_name(name: str) -> bool:
    """Whether a name stays in its folder on every system: no separators, no drive, and neither `.` nor `..`."""
    return name not in ("", ".", "..") and not set(name) & {"/", "\\", ":", "\0"}


def counted(number: int, noun: str) -> str:
    """`1 image`, `2 images`: a number with a noun whose plural ends in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(items: Sequence[str], most: int = 5) -> str:
    """`a, b and 3 more`: the first items of a list, and the number of the others."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def problem_of(name: str) -> str:
    """Why some system does not accept a name, as a phrase to follow "its name"; empty if every system accepts it.

    Args:
        name: One part of a path.
    """
    if name in ("", ".", ".."):
        return "leads out of the folder, or has empty parts"
    if any(_is_surrogate(letter) for letter in name):
        return "is not UTF-8"
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        return "contains control characters"
    forbidden = sorted(_FORBIDDEN & set(name))
    if forbidden:
        return f"contains {' '.join(forbidden)}, which Windows does not allow"
    if name[-1] in ". ":
        return "ends in a dot or a space, which Windows drops"
    if _is_reserved(name):
        return "is a device name on Windows"
    if len(name.encode()) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    return ""


def portable(name: str, *, ending: str = "") -> str:
    """The name, changed as little as necessary for every system to accept it.

    `a:b` becomes `a_b`, `aux.png` becomes `aux_.png`; a name that is too long is cut and ends in a part of its hash.

    Args:
        name: One part of a path.
        ending: Text that will be appended to the result, such as `.png`.
    """
    text = "".join("_" if _is_forbidden(letter) else letter for letter in name) or "_"
    if not ending:
        kept = text.rstrip(". ")
        text = kept + "_" * (len(text) - len(kept))
    if _is_reserved(text + ending):
        stem, dot, rest = text.partition(".")
        text = f"{stem.rstrip(' ')}_{dot}{rest}"
    room = LONGEST_NAME - len(ending.encode())
    if len(text.encode()) <= room:
        return text
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{text.encode()[: room - _DIGEST - 1].decode('utf-8', 'ignore')}-{digest}"


def distinct(paths: Sequence[str], *, endings: Sequence[str] = ("",)) -> list[str]:
    """The paths, changed as little as necessary for every system to accept them and to keep them apart.

    Windows and macOS do not distinguish paths that differ only by case, and paths can become equal when they are made
    portable; all but the first of such paths are numbered, as in `A-2`.

    Args:
        paths: Relative paths with `/` between their parts.
        endings: Texts that will be appended to each of them; no file then has the name of a folder either.

    Returns:
        One path for each, in the same order; none leads out of the folder that it is joined to.
    """
    longest = max(endings, key=len)
    wanted = [_portable_path(path, longest) for path in paths]
    counts = Counter(folded(path) for path in wanted)
    folders = {folded(above) for path in wanted for above in _folders_of(path)}

    def is_folder(path: str) -> bool:
        return any(folded(path + ending) in folders for ending in endings)

    taken = {name for name, count in counts.items() if count == 1}
    result = list(wanted)
    # Paths that are unchanged so far keep their names in preference to those that had to change.
    for place in sorted(range(len(paths)), key=lambda place: wanted[place] != paths[place]):
        path, number = wanted[place], 1
        if counts[folded(path)] == 1 and not is_folder(path):
            continue
        while folded(path) in taken or is_folder(path):
            number += 1
            folder, slash, name = wanted[place].rpartition("/")
            path = folder + slash + portable(f"{name}-{number}", ending=longest)
        taken.add(folded(path))
        result[place] = path
    return result


def folded(path: str) -> str:
    """A form of the path that is equal for all paths which some file system takes for the same."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def id_of(path: PurePath, root: PurePath) -> str:
    """Id of a file: its path relative to `root` (its whole path if it lies outside), without the file extension.

    The parts are separated by `/`. Files may be named after an id, so it never leads upwards and contains no drive. It
    is NFC-normalised and printable.
    """
    path, root = _without_dots(path), _without_dots(root)
    relative = path.relative_to(root) if path.is_relative_to(root) else path
    parts = relative.with_suffix("").parts
    return printable(unicodedata.normalize("NFC", "/".join(p for p in parts if p not in ("..", relative.anchor))))


def listed_path(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """A path as a file in `folder` would list it: relative to that folder, with `/` on every system.

    On Windows a file on another drive has no relative path and is listed by its absolute path.
    """
    try:
        text = os.path.relpath(path, folder)
    except ValueError:
        text = os.path.abspath(path)
    return text.replace(os.sep, "/")


def _portable_path(path: str, ending: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")] or ["_"]
    return "/".join([*(portable(part) for part in parts[:-1]), portable(parts[-1], ending=ending)])


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _without_dots(path: AnyPath) -> AnyPath:
    """The path with each `..` and the folder before it removed, as far as possible; links are not resolved."""
    parts: list[str] = []
    for part in path.parts[bool(path.anchor) :]:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".." or not path.anchor:
            parts.append(part)
    return type(path)(path.anchor, *parts)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python represents a byte of a file name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")


def _is_forbidden(letter: str) -> bool:
    return letter in _FORBIDDEN or _is_surrogate(letter) or unicodedata.category(letter) == "Cc"


def _is_surrogate(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"


def _is_reserved(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").casefold() in _RESERVED
