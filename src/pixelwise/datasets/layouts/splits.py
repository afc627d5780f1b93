"""Train, val and test of a data set that has no splits, or not the wanted ones: three lists of files.

No file is moved or copied. What decides is the SHA-256 of a group's name alone: the same names give the same
splits on every machine, and files that are added later move no other file, except where a split would be empty.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pixelwise.datasets.layouts.layout import SPLIT_NAMES
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError, RecipeError
from pixelwise.storage import printable, write_text


def split_samples(
    samples: Sequence[Sample], *, val: float, test: float = 0.0, group: str | None = None
) -> dict[str, list[Sample]]:
    """Divide samples so that no group is in two splits.

    Args:
        samples: Of one data set; samples that share an image count once.
        val: Share of the groups that become `val`, 0..1.
        test: Likewise.
        group: A regular expression that is searched in every id; its first group, or all that it matches,
            names the group, and an id without a match is a group of its own. None takes the series that the names
            number (`drive3_0001`, `drive3_0002`), as long as there are ten and none is larger than the smallest
            wanted share; otherwise every image is its own group.

    Returns:
        `train`, `val` and, if wanted, `test`, each in the order of ids.

    Raises:
        RecipeError: R203, the shares leave nothing to train on, or `group` is no regular expression.
        DataError: D221, there are too few groups to give every split one.
    """
    if not (0 <= val < 1 and 0 <= test < 1 and 0 < val + test < 1):
        raise RecipeError(
            "R203", f"--val {val} --test {test}: expected shares from 0 to 1, together less than 1", "--val 0.2"
        )
    unique = {_id(sample): sample for sample in samples}
    groups = group_names(list(unique), group, min(share for share in (val, test) if share))
    wanted = {name: share for name, share in (("test", test), ("val", val)) if share}
    split_of = _assign(sorted(set(groups.values())), wanted)
    divided: dict[str, list[Sample]] = {"train": [], **{name: [] for name in reversed(wanted)}}
    for id in sorted(unique):
        divided[split_of[groups[id]]].append(unique[id])
    return divided


def group_names(ids: Sequence[str], pattern: str | None, smallest_share: float) -> dict[str, str]:
    """Id -> name of its group; see `split_samples`."""
    if pattern is not None:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise RecipeError(
                "R203", f"--group '{pattern}' is no regular expression: {error}", "for example --group '^[^_]+'"
            ) from error
        matches = {id: compiled.search(id) for id in ids}
        return {id: (match.group(1 if compiled.groups else 0) or id) if match else id for id, match in matches.items()}
    return series_of(ids, smallest_share)


def write_lists(divided: Mapping[str, Sequence[Sample]], folder: Path, *, replace: bool = False) -> list[Path]:
    """Write `train.txt`, `val.txt` ...: one line per pair, image and mask relative to the list, with a tab between.

    Args:
        divided: As `split_samples` returns it.
        folder: Where the lists go; created if need be.
        replace: Overwrite lists that exist.

    Raises:
        DataError: D225, a list exists. D130, a name holds a tab or a line break and cannot be listed.
        ResourceError: S601, the disk is full.
    """
    paths = {name: folder / f"{name}.txt" for name in divided}
    existing = [path for path in paths.values() if path.exists()]
    if existing and not replace:
        raise DataError("D225", f"{printable(existing[0])}: exists already", "--force replaces the lists")
    texts = {name: "".join(f"{_line(sample, folder)}\n" for sample in samples) for name, samples in divided.items()}
    for name, path in paths.items():
        write_text(path, texts[name])
    return list(paths.values())


def all_samples(dataset: Dataset) -> list[Sample]:
    """The labelled samples of all splits."""
    return [sample for samples in dataset.splits.values() for sample in samples if sample.mask_path is not None]


def _id(sample: Sample) -> str:
    # Without its folder a name is not unique, and with it groups would depend on where the data lies.
    parts = sample.id.split("/")
    folder = sample.image_path.parent.name
    return "/".join(parts) if len(parts) > 1 else f"{folder}/{parts[0]}" if folder in SPLIT_NAMES else parts[0]


def _assign(names: Sequence[str], wanted: Mapping[str, float]) -> dict[str, str]:
    """Group -> split, by the place of the group's hash between 0 and 1."""
    if len(names) <= len(wanted):
        raise DataError(
            "D221",
            f"{len(names)} group{'' if len(names) == 1 else 's'} ({', '.join(names)}) for {len(wanted) + 1} splits",
            "a group is never divided: choose another --group, or fewer splits",
        )
    places = {name: place_of(name) for name in names}
    split_of: dict[str, str] = {}
    lower = 0.0
    for split, share in wanted.items():
        split_of |= {name: split for name, place in places.items() if lower <= place < lower + share}
        lower += share
    split_of |= {name: "train" for name in names if name not in split_of}
    for split in (*wanted, "train"):
        if split not in split_of.values():
            # The nearest group of a split that can spare one.
            counts = Counter(split_of.values())
            spare = [name for name in names if counts[split_of[name]] > 1]
            split_of[min(spare, key=lambda name: (split_of[name] != "train", places[name]))] = split
    return split_of


def _line(sample: Sample, folder: Path) -> str:
    if sample.class_masks:
        raise DataError(
            "D231",
            f"{printable(sample.image_path)}: multi-label data has one mask per class; a list of pairs names one",
            "move the images into images/train, images/val and images/test; the masks may stay where they are",
        )
    parts = [os.path.relpath(path, folder) for path in (sample.image_path, sample.mask_path) if path is not None]
    if any(mark in part for part in parts for mark in "\t\n\r"):
        raise DataError(
            "D130", f"{printable(sample.image_path)}: a tab or a line break in a name cannot be listed", "rename it"
        )
    try:
        "".join(parts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            "D130", f"{printable(sample.image_path)}: a name that is not UTF-8 cannot be listed", "rename it"
        ) from error
    return "\t".join(parts)


_VALIDATION_SHARE = 0.2
_MIN_SERIES = 10
# What numbers the members of a series: frames of a video, tiles of a picture, augmented copies.
_SERIES_NUMBER = re.compile(r"(\.rf\.[0-9a-f]+|[\d_\-. ()]+)$")


def divided(samples: Sequence[Sample]) -> dict[str, tuple[Sample, ...]]:
    """`train` and `val` of samples that have no splits, by `validation_keys` of their ids."""
    chosen = validation_keys(sample.id for sample in samples)
    return {
        "train": tuple(sample for sample in samples if sample.id not in chosen),
        "val": tuple(sample for sample in samples if sample.id in chosen),
    }


def validation_keys(keys: Iterable[str]) -> set[str]:
    """Which of the images become the validation split: about a fifth, chosen by their names alone.

    Images of one series (`drive3_0001`, `drive3_0002`; tiles; augmented copies) stay together, as
    long as there are ten series and none holds more than a fifth of the images; otherwise every
    image is its own series. A series is chosen if the first eight bytes of the SHA-256 of its name,
    as a fraction, are below 0.2; so adding or removing files never moves another file to the other
    split, except where a split would be empty or the number of series passes the limit.

    Args:
        keys: Names of the images without ending, with their folders.
    """
    keys = sorted(keys)
    if len(keys) < 2:
        return set()
    series = series_of(keys, _VALIDATION_SHARE)
    places = {name: place_of(name) for name in set(series.values())}
    chosen = {name for name, place in places.items() if place < _VALIDATION_SHARE}
    if not chosen:
        chosen = {min(places, key=lambda name: places[name])}
    elif len(chosen) == len(places):
        chosen.remove(max(places, key=lambda name: places[name]))
    return {key for key in keys if series[key] in chosen}


def series_of(keys: Sequence[str], largest_share: float) -> dict[str, str]:
    """Key -> name of the series that its number belongs to.

    Every image is a series of its own where there are fewer than ten, or where one holds more than `largest_share`
    (0..1) of the images.
    """
    series = {key: _SERIES_NUMBER.sub("", key) or key for key in keys}
    sizes = Counter(series.values())
    if len(sizes) < _MIN_SERIES or max(sizes.values()) > largest_share * len(keys):
        return {key: key for key in keys}
    return series


def place_of(name: str) -> float:
    """Where a name stands between 0 and 1: the first eight bytes of its SHA-256 as a fraction."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64
