"""Samples of WebDataset tars: files of one name up to the first dot, `0001.jpg` with `0001.mask.png`.

Tars of folders are read as well: `images/0001.jpg` with `masks/0001.png`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pixelwise.datasets.layouts.listing import is_hidden
from pixelwise.datasets.layouts.words import kind_of
from pixelwise.datasets.reading.bands import ARRAY_SUFFIX
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.shards.foreign.containers import Containers
from pixelwise.datasets.shards.foreign.fields import LOSSLESS, LOSSY, Chosen, Fields, choose
from pixelwise.datasets.shards.foreign.matching import Picture, shown_name
from pixelwise.datasets.shards.foreign.tar_files import TarMember, members_of
from pixelwise.datasets.shards.index import Placed
from pixelwise.storage import printable

_PICTURES = (*SUFFIXES, ARRAY_SUFFIX)
_LOSSY = (".jpg", ".jpeg")
_NO_HASH = bytes(32)


class _Named(NamedTuple):
    """What the name of a member says: its sample, its field, and the extension of its file."""

    key: str
    field: str
    ending: str


def pictures_of(
    containers: Containers, splits: Mapping[str, str], asked: Fields, *, labelled: bool
) -> tuple[list[Picture], Chosen]:
    """The images and masks of tars, and the fields that they are.

    Args:
        containers: The tars.
        splits: Tar -> its split; others are not read.
        asked: Fields that somebody named.
        labelled: Whether masks are wanted.

    Raises:
        DataError: D273, a tar cannot be read; D274, it is not clear which fields are meant.
    """
    marks = {name: repr(tuple(containers.versions[name])) for name in splits}
    members = members_of(containers.store, marks, os.fspath(containers.base), containers.shown)
    found = {name: [(named, one) for one in some if (named := _named(one.name))] for name, some in members.items()}
    counts, together = _counted(found)
    chosen = choose(
        counts,
        together,
        Fields(*(None if one is None else _field(one) for one in asked)),
        where=printable(containers.base),
        what="members of samples",
        labelled=labelled,
    )
    return list(_chosen(found, chosen)), chosen


def _named(name: str) -> _Named | None:
    """What a name says; None for what is no picture."""
    *folders, last = [part for part in name.split("/") if part not in ("", ".", "..")] or [""]
    stem, dot, extension = last.partition(".")
    ending = f".{extension.rpartition('.')[2].lower()}"
    if not dot or ending not in _PICTURES or is_hidden(last) or any(map(is_hidden, folders)):
        return None
    field = _field(extension)
    kinds = [part for part in folders if kind_of(part) is not None]
    if kinds and field in (LOSSY, LOSSLESS):
        field = kinds[-1]
        folders = [part for part in folders if kind_of(part) is None]
    return _Named("/".join([*folders, stem]), field, ending)


def _field(extension: str) -> str:
    """What tells the members of a sample apart: `mask` of `mask.png`, and `jpg` or `png` without such a word."""
    stem, _, last = extension.lower().lstrip(".").rpartition(".")
    if stem and f".{last}" in _PICTURES:
        return stem
    if f".{last}" in _PICTURES and not stem:
        return LOSSY if f".{last}" in _LOSSY else LOSSLESS
    return extension


def _counted(found: Mapping[str, Sequence[tuple[_Named, TarMember]]]) -> tuple[dict[str, int], int]:
    """Number of samples with each field, and with both of those that are extensions alone."""
    counts: Counter[str] = Counter()
    together = 0
    for some in found.values():
        fields: dict[str, set[str]] = {}
        for named, _ in some:
            fields.setdefault(named.key, set()).add(named.field)
        for own in fields.values():
            counts.update(own)
            together += {LOSSY, LOSSLESS} <= own
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))), together


def _chosen(found: Mapping[str, Sequence[tuple[_Named, TarMember]]], chosen: Chosen) -> Iterator[Picture]:
    for container, some in found.items():
        for named, member in some:
            is_mask = named.field == chosen.mask
            if is_mask or named.field in chosen.image:
                placed = Placed(shown_name(member.name), member.offset, member.size, _NO_HASH)
                yield Picture(named.key, container, placed, is_mask)
