"""Names of files and folders: what can be printed, what every system accepts, and ids made of paths.

Whatever Pixelwise calls by a name that a user or a data set gave goes through `portable` or `distinct`: folders move
from Linux to Windows and back, and a name that one of them cannot hold, or holds as another one's file, is lost there.
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
"""Bytes of UTF-8 in the name of a file; some systems count characters, of which there are never more."""
_FORBIDDEN = frozenset('<>:"/\\|?*')
_PORTS = "123456789¹²³"
# Devices of Windows, in every folder and whatever ending follows.
_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", "conin$", "conout$", *(f"com{n}" for n in _PORTS), *(f"lpt{n}" for n in _PORTS))
)
_DIGEST = 12


def printable(name: str | os.PathLike[str]) -> str:
    r"""The name with undecodable bytes and control characters escaped: `b\\xff.png`, `a\\n.png`."""
    text = os.fspath(name)
    return text if text.isprintable() else "".join(map(_escaped, text))


def problem_of(name: str) -> str:
    """Why a file or folder cannot be called so on every system, to be put after `its name`; empty if it can.

    Args:
        name: One part of a path.
    """
    if name in ("", ".", ".."):
        return "leads out of the folder, or holds empty parts"
    if any(_is_surrogate(letter) for letter in name):
        return "is not UTF-8"
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        return "holds control characters"
    forbidden = sorted(_FORBIDDEN & set(name))
    if forbidden:
        return f"holds {' '.join(forbidden)}, which Windows does not allow"
    if name[-1] in ". ":
        return "ends in a dot or a blank, which Windows leaves out"
    if _is_reserved(name):
        return "is that of a device on Windows"
    if len(name.encode()) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    return ""


def portable(name: str, *, ending: str = "") -> str:
    """A name like this one that every system accepts; the name itself if they do.

    `a:b` becomes `a_b`, `aux.png` becomes `aux_.png`, what is too long is cut and ends in a part of its hash.

    Args:
        name: To be one part of a path.
        ending: What will be put after it; not part of what is returned.
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
    """Paths like these that every system accepts, and that no system takes for the same.

    Two that differ by case alone are the same on Windows and macOS, and so may be those that became portable; of such
    ones all but the first are numbered: `A-2`.

    Args:
        paths: Relative, with `/` between their parts.
        endings: What will be put after each of them; file and folder get no common name either.

    Returns:
        One for each, in their order; none leads out of the folder that it is joined to.
    """
    longest = max(endings, key=len)
    wanted = [_portable_path(path, longest) for path in paths]
    counts = Counter(folded(path) for path in wanted)
    folders = {folded(above) for path in wanted for above in _folders_of(path)}

    def is_folder(path: str) -> bool:
        return any(folded(path + ending) in folders for ending in endings)

    taken = {name for name, count in counts.items() if count == 1}
    result = list(wanted)
    # A path that is as it was keeps its name before one that had to change.
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
    """The same text for names that one file system or another takes for the same name."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def id_of(path: PurePath, root: PurePath) -> str:
    """The path below a folder without its ending, with `/` between its parts; of a file outside, its folders and name.

    Files may be called by it, so it never leads upwards and names no drive. It is NFC-normalised and printable.
    """
    path, root = _without_dots(path), _without_dots(root)
    relative = path.relative_to(root) if path.is_relative_to(root) else path
    parts = relative.with_suffix("").parts
    return printable(unicodedata.normalize("NFC", "/".join(p for p in parts if p not in ("..", relative.anchor))))


def listed_path(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """A path as files list it that lie in `folder`: relative to it, with `/` on every system.

    On Windows a file on another drive has no such path, and is listed by its absolute one.
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
    """The path without `..` where a folder before it can be left out; links are not looked at."""
    parts: list[str] = []
    for part in path.parts[bool(path.anchor) :]:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".." or not path.anchor:
            parts.append(part)
    return type(path)(path.anchor, *parts)


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte that is not UTF-8, as Python's names of files hold it
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")


def _is_forbidden(letter: str) -> bool:
    return letter in _FORBIDDEN or _is_surrogate(letter) or unicodedata.category(letter) == "Cc"


def _is_surrogate(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"


def _is_reserved(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").casefold() in _RESERVED
