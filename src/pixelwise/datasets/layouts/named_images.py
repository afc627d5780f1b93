"""Finds the images that annotations and lists name: the one whose path ends most like the written one.

Annotations travel: a path was written on another machine, from another folder, or by a server. So what counts is how
many parts two paths have in common, from the file name upwards. Nothing is guessed: a name that fits two images equally
well finds neither, and neither do two different names that fit the same image equally well.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.words import named_split
from pixelwise.datasets.reading.bands import ARRAY_SUFFIX
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.storage import printable
from pixelwise.suggestions import did_you_mean

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_DRIVE = re.compile(r"[A-Za-z]:(?=/|$)")
# Comparing names is slow, and a message shows few of them.
_CANDIDATES = 2000
_SUGGESTIONS = 20
Parts = tuple[str, ...]
# (parts in common whatever their case, whether the rest does not contradict, parts in common exactly); a path that is
# written relative to a known folder and exists there counts as common in full.
_Strength = tuple[float, bool, int]
_IN_FULL = float("inf")


class Wanted(NamedTuple):
    """The image that one annotation names.

    Attributes:
        names: Paths or addresses that the image may have, as written; the first one that fits any image counts.
        file: The file that holds the annotation; paths may be relative to its folder.
        near: Other folders that paths may be relative to.
        split: Split that the annotation belongs to; an image of the same name in another split is another image.
    """

    names: tuple[str, ...]
    file: Path
    near: tuple[Path, ...] = ()
    split: str | None = None


class Match(NamedTuple):
    """The answer to a `Wanted`.

    Attributes:
        entry: The image; None if there is none, or if it is not certain which one is meant.
        reason: Why there is none; follows the name in a message.
        elsewhere: Whether the image lies in another folder than the written path says.
        in_full: Whether the image lies at the written path, relative to one of the known folders.
    """

    entry: Entry | None
    reason: str = ""
    elsewhere: bool = False
    in_full: bool = False


class _Candidate(NamedTuple):
    entry: Entry
    strength: _Strength
    written: Parts

    @property
    def contradicts(self) -> bool:
        """Whether the written path names another folder than that of the image."""
        return not self.strength[1]


class NamedImages:
    """The images below a folder, found by the paths that annotations give.

    Upper and lower case, the Unicode form, the separators of Windows and the quoting of addresses may differ; where
    several images fit, those with the same case are preferred.

    Args:
        entries: The images of the data set.
        root: Folder of the data set.
        stems: Whether names may lack the file extension, or have that of another image format.
    """

    def __init__(self, entries: Iterable[Entry], root: Path, *, stems: bool = False) -> None:
        self._above = len(_parts(os.path.abspath(root)))
        self._at: dict[Parts, Entry] = {}
        self._suggested: dict[str, str] = {}
        self._called: dict[str, list[tuple[Entry, Parts]]] = {}
        self._stems: dict[str, list[tuple[Entry, Parts]]] | None = {} if stems else None
        for entry in entries:
            parts = _parts(os.path.abspath(entry.path))
            self._at.setdefault(parts, entry)
            self._called.setdefault(parts[-1].casefold(), []).append((entry, parts))
            if self._stems is not None:
                short = (*parts[:-1], _without_suffix(parts[-1]))
                self._stems.setdefault(short[-1].casefold(), []).append((entry, short))

    def find(self, wanted: Wanted) -> Match:
        """The image of one annotation, regardless of other annotations."""
        return _match(self._best(wanted))

    def find_all(self, wanted: Sequence[Wanted]) -> list[Match]:
        """The images of all annotations, in their order; two different paths never get the same image by their ends.

        Of several annotations that would get the same image, the one whose path fits best keeps it, together with
        those that write the same path or only the end of it.
        """
        found = [self._best(one) for one in wanted]
        claims: dict[Path, list[int]] = {}
        for number, candidate in enumerate(found):
            if isinstance(candidate, _Candidate):
                claims.setdefault(candidate.entry.path, []).append(number)
        refused: dict[int, str] = {}
        for numbers in claims.values():
            if len(numbers) > 1:
                refused |= _refused({n: one for n in numbers if isinstance(one := found[n], _Candidate)}, wanted)
        return [_match(refused.get(number, one)) for number, one in enumerate(found)]

    def _best(self, wanted: Wanted) -> _Candidate | str:
        """The best candidate for an annotation, or the reason why there is none."""
        for name in wanted.names:
            variants = _variants(name)
            exact = self._exact(variants, wanted)
            if exact is not None:
                return exact
            for table, texts in ((self._called, variants), *self._by_stem(variants)):
                candidates = self._by_end(table, texts)
                if candidates:
                    return self._chosen(candidates, wanted.split)
        return "does not exist" + self._nearest(wanted.names[0]) if wanted.names else "is not named"

    def _exact(self, variants: Sequence[str], wanted: Wanted) -> _Candidate | str | None:
        """The image at a written path: that relative to the file wins, others must agree."""
        found: dict[Path, _Candidate] = {}
        for folder in (wanted.file.parent, *wanted.near):
            above = _parts(os.path.abspath(folder))
            for text in variants:
                written = _parts(text)
                entry = self._at.get(written if _is_absolute(text) else _joined(above, written))
                if entry is not None:
                    found.setdefault(entry.path, _Candidate(entry, (_IN_FULL, True, len(written)), written))
            if found and folder == wanted.file.parent:
                break
        return self._chosen(list(found.values()), wanted.split) if found else None

    def _by_stem(self, variants: Sequence[str]) -> Iterable[tuple[dict[str, list[tuple[Entry, Parts]]], Sequence[str]]]:
        if self._stems is not None:
            yield self._stems, variants
            shortened = [short for text in variants if (short := _without_suffix(text)) != text]
            if shortened:
                yield self._stems, shortened

    def _by_end(self, table: dict[str, list[tuple[Entry, Parts]]], variants: Sequence[str]) -> list[_Candidate]:
        """The images with the longest common end, at least the file name."""
        best: dict[Path, _Candidate] = {}
        for text in variants:
            # A path upwards says nothing about the folder that it starts from.
            written = tuple(part for part in _parts(text) if part != "..")
            for entry, parts in table.get(written[-1].casefold(), ()) if written else ():
                common, exact = _common_end(written, parts)
                # Above the data set's folder, the paths of two machines differ without meaning anything.
                counts = min(len(written), len(parts) - self._above) if _is_absolute(text) else len(written)
                candidate = _Candidate(entry, (common, common >= counts, exact), written)
                if entry.path not in best or candidate.strength > best[entry.path].strength:
                    best[entry.path] = candidate
        longest = max((candidate.strength for candidate in best.values()), default=None)
        return [candidate for candidate in best.values() if candidate.strength == longest]

    def _chosen(self, candidates: list[_Candidate], split: str | None) -> _Candidate | str:
        """The only candidate, or the only one in the right split; otherwise the reason why it is none of them."""
        if split is not None and (len(candidates) > 1 or candidates[0].strength[0] == 1):
            of = {one.entry.path: self._split(one.entry) for one in candidates}
            right = [one for one in candidates if of[one.entry.path] == split]
            right = right or [one for one in candidates if of[one.entry.path] is None]
            if not right:
                return f"exists only in another split, as {printable(candidates[0].entry.path)}"
            candidates = right
        return candidates[0] if len(candidates) == 1 else _several([one.entry for one in candidates])

    def _split(self, entry: Entry) -> str | None:
        return named_split(_parts(os.path.abspath(entry.path))[self._above : -1])

    def _nearest(self, name: str) -> str:
        if name in self._suggested or len(self._suggested) >= _SUGGESTIONS:
            return self._suggested.get(name, "")
        known = [parts[-1] for found in self._called.values() for _, parts in found][:_CANDIDATES]
        self._suggested[name] = did_you_mean(printable(file_name(name)), map(printable, known))
        return self._suggested[name]


def file_name(path: str) -> str:
    """The last part of a path with `/` or, as on Windows, with backslashes."""
    return path.replace("\\", "/").rpartition("/")[2]


def _match(found: _Candidate | str) -> Match:
    if isinstance(found, str):
        return Match(None, found)
    return Match(found.entry, elsewhere=found.contradicts, in_full=found.strength[0] == _IN_FULL)


def _several(entries: Sequence[Entry]) -> str:
    first, second = sorted(printable(entry.path) for entry in entries)[:2]
    return f"exists {len(entries)} times, in different folders, e.g. {first} and {second}"


def _refused(claims: dict[int, _Candidate], wanted: Sequence[Wanted]) -> dict[int, str]:
    """Number of an annotation -> why it does not get the image that all of these annotations would get."""
    strongest = max(one.strength for one in claims.values())
    winners = {number: one for number, one in claims.items() if one.strength == strongest}
    # Where all paths are ends of the longest one, no two of them contradict each other.
    best, first = max(winners.items(), key=lambda one: len(one[1].written))
    image = printable(first.entry.path)
    if strongest[0] == _IN_FULL or all(_agree(one.written, first.written) for one in winners.values()):
        # A path with further folders may be the same one, written from above; its file name alone does not say so, and
        # of several that contradict each other, none says which one it is.
        others = {n: one for n, one in claims.items() if n not in winners}
        above = {
            n: one
            for n, one in others.items()
            if not one.contradicts or (one.strength[0] > 1 and _agree(one.written, first.written))
        }
        kept = {n for n, one in above.items() if all(_agree(one.written, two.written) for two in above.values())}
        losers = [n for n in others if n not in kept]
        return {n: f"does not exist; {image} is that of {_described(best, wanted)}" for n in losers}
    refused = {}
    for number, one in claims.items():
        others = sorted((_agree(other.written, one.written), n) for n, other in winners.items() if n != number)
        refused[number] = f"may be {image}, and so may {_described(others[0][1], wanted)}"
    return refused


def _described(number: int, wanted: Sequence[Wanted]) -> str:
    return f"'{printable(wanted[number].names[0])}' in {printable(wanted[number].file.name)}"


def _agree(one: Parts, other: Parts) -> bool:
    """Whether one path is the end of the other, or the same."""
    shorter = min(len(one), len(other))
    return _common_end(one, other)[0] == shorter


def _common_end(one: Parts, other: Parts) -> tuple[int, int]:
    """Number of parts that two paths have in common at their ends: whatever their case, and exactly."""
    folded = exact = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a.casefold() != b.casefold():
            break
        folded += 1
        exact += exact == folded - 1 and a == b
    return folded, exact


def _variants(name: str) -> list[str]:
    """A written path as it may be meant: without the quoting of addresses, or with bytes of Western encodings."""
    texts = [name]
    if _ADDRESS.match(name):
        try:
            texts = [urlsplit(name).path or name, name]
        except ValueError:  # not a valid address
            texts = [name]
    texts += [unquote(text) for text in texts if "%" in text]
    if any("\udc80" <= letter <= "\udcff" for letter in name):
        texts.append(name.encode("utf-8", "surrogateescape").decode("cp1252", "replace"))
    return list(dict.fromkeys(texts))


def _is_absolute(text: str) -> bool:
    text = text.replace("\\", "/")
    return text.startswith("/") or _DRIVE.match(text) is not None


def _parts(text: str) -> Parts:
    """The parts of a path, NFC-normalised, without a drive and, as far as possible, without `..`."""
    text = unicodedata.normalize("NFC", text.strip()).replace("\\", "/")
    return _joined((), [part for part in _DRIVE.sub("", text, count=1).split("/") if part not in ("", ".")])


def _joined(above: Sequence[str], parts: Iterable[str]) -> Parts:
    result = list(above)
    for part in parts:
        if part == ".." and result and result[-1] != "..":
            result.pop()
        else:
            result.append(part)
    return tuple(result)


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in (*SUFFIXES, ARRAY_SUFFIX) else name
