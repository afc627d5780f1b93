"""What tars and tables of other programs hold, sample by sample: splits, ids, and the places of images and masks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.matching import match_files
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import named_split, split_of
from pixelwise.datasets.samples import Sample
from pixelwise.datasets.shards.index import Placed
from pixelwise.storage import printable
from pixelwise.storage.names import counted

_NOT_IN_NAMES = frozenset('<>:"\\|?*')


class Picture(NamedTuple):
    """An image or a mask.

    Attributes:
        key: What images and masks that belong together have in common.
        container: Name of the tar or table.
        placed: Its place.
        is_mask: Whether it is a mask.
    """

    key: str
    container: str
    placed: Placed
    is_mask: bool


class Matched(NamedTuple):
    """The samples of a data set.

    Attributes:
        splits: The samples by split, sorted by id; the paths of their files are those of `Found.places`.
        places: Path of each image and mask -> its container and place.
        problems: Findings about pictures without a partner, ambiguous names, and files that belong to no split.
    """

    splits: dict[str, tuple[Sample, ...]]
    places: dict[Path, tuple[str, Placed]]
    problems: tuple[Finding, ...]


def splits_of(containers: Sequence[str], shown: Path) -> tuple[dict[str, str], list[Finding]]:
    """The split of each tar or table by the words of its name: `train-000000.tar`, `data/test-00000-of-00001.parquet`.

    Returns:
        The splits, and W216 if some files name none and are left out. Without any split, all are in `train`.
    """
    named = {name: named_split(name.split("/")) for name in containers}
    if not any(named.values()):
        return dict.fromkeys(containers, "train"), []
    left_out = [printable(shown / name) for name, split in named.items() if split is None]
    found = {name: split for name, split in named.items() if split is not None}
    if not left_out:
        return found, []
    text = f"{counted(len(left_out), 'file')} whose names give no split are left out, e.g. {left_out[0]}"
    fix = "give their names a split (train-000000.tar), or name the files that are wanted by a pattern in braces"
    return found, [finding("W216", text, left_out, fix)]


def matched(
    pictures: Iterable[Picture], splits: Mapping[str, str], base: Path, *, labelled: bool, problems: Sequence[Finding]
) -> Matched:
    """Pair images and masks by their keys, as files of folders are paired.

    Args:
        pictures: All images and masks.
        splits: Container -> its split.
        base: The folder or address of the containers, for the paths that messages show.
        labelled: Whether masks are wanted; otherwise every image is a sample.
        problems: Findings of the containers, to which those of the pictures are added.
    """
    places: dict[Path, tuple[str, Placed]] = {}
    entries: dict[str, tuple[list[Entry], list[Entry]]] = {split: ([], []) for split in dict.fromkeys(splits.values())}
    found = list(pictures)
    repeated = _repeated(found, splits)
    for one in found:
        split = splits[one.container]
        key = f"{_stem(one.container)}/{one.key}" if split in repeated else one.key
        path = base / one.container / one.placed.name
        places[path] = one.container, one.placed
        entries[split][one.is_mask].append(Entry(shown_key(key), path))
    if list(entries) == ["train"]:
        entries = _by_folders(entries["train"]) or entries
    samples: dict[str, tuple[Sample, ...]] = {}
    findings = list(problems)
    for split, (images, masks) in entries.items():
        images.sort()
        if labelled:
            samples[split], of_split = match_files(split, images, sorted(masks), masks=base)
            findings += of_split
        else:
            samples[split] = _unlabelled(images)
    if list(samples) == ["train"]:
        samples = divided(samples["train"]) if labelled else samples
    return Matched(samples, places, tuple(findings))


def shown_key(text: str) -> str:
    """A key as an id of a sample: printable, normalised, and without parts that lead elsewhere."""
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    return printable(unicodedata.normalize("NFC", "/".join(parts)))


def shown_name(text: str) -> str:
    """The name of a member or cell as part of a path on every system, for messages and the names of outputs."""
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    return "".join(c if c.isprintable() and c not in _NOT_IN_NAMES else "_" for c in "/".join(parts)) or "_"


def _repeated(pictures: Sequence[Picture], splits: Mapping[str, str]) -> set[str]:
    """The splits of which several containers use the same keys, so that only container and key tell samples apart."""
    first: dict[tuple[str, str], str] = {}
    found: set[str] = set()
    for one in pictures:
        if not one.is_mask:
            split = splits[one.container]
            if first.setdefault((split, one.key), one.container) != one.container:
                found.add(split)
    return found


def _unlabelled(images: Sequence[Entry]) -> tuple[Sample, ...]:
    """Every image as a sample; of several with one key, all but the first keep their extensions."""
    names: dict[str, Path] = {}
    for entry in images:
        id = entry.key if entry.key not in names else f"{entry.key}{entry.path.suffix}"
        names.setdefault(id, entry.path)
    return tuple(Sample(id, path, None) for id, path in sorted(names.items()))


def _stem(container: str) -> str:
    return container.rpartition(".")[0]


def _by_folders(found: tuple[list[Entry], list[Entry]]) -> dict[str, tuple[list[Entry], list[Entry]]]:
    """The splits that folders within the tars name; empty unless every picture is in one and there are at least two."""
    entries: dict[str, tuple[list[Entry], list[Entry]]] = {}
    for is_mask, some in enumerate(found):
        for entry in some:
            split = split_of(entry.key.split("/")[:-1])
            if split is None:
                return {}
            entries.setdefault(split, ([], []))[is_mask].append(entry)
    return entries if len(entries) > 1 else {}
