"""Divides a data set into train, val and test by writing lists of its files.

No file is moved or copied; `pixelwise.datasets.layouts.splits` explains how images are assigned.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.datasets.layouts.splits import group_names, place_of
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.preparing.options import SplitOptions
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError, RecipeError
from pixelwise.options import chosen
from pixelwise.storage import printable, writing
from pixelwise.storage.locks import writing_alone
from pixelwise.storage.names import listed_path


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """How a data set was divided.

    Attributes:
        lists: Path of the list that was written for each split.
        pairs: Number of pairs per split.
    """

    lists: dict[str, Path]
    pairs: dict[str, int]


def split(
    root: str | os.PathLike[str], overrides: Sequence[str] = (), options: SplitOptions | None = None, **changes: Any
) -> Division:
    """Divide a data set into train, val and test by writing lists of its files; no file is moved.

    Args:
        root: Folder of the data set.
        overrides: Overrides that set how the data is read, such as `data.dataset=folder`.
        options: See `SplitOptions`; single options can be given by keyword.
        **changes: Fields of `SplitOptions`, which override `options`.

    Raises:
        DataError: D221, there are fewer groups than splits; D225, a list exists; D130, a name contains a tab, a line
            break or a backslash, or is not UTF-8; D231, the data is multi-label.
        RecipeError: R203, the shares leave nothing to train on, or `group` is not a valid regular expression.
        ResourceError: S601, the disk is full.
    """
    options = chosen(SplitOptions, options, changes)
    _, dataset = open_folder(Path(root), overrides)
    divided = split_samples(all_samples(dataset), val=options.val, test=options.test, group=options.group)
    paths = write_lists(divided, options.output or dataset.root, replace=options.force)
    return Division(
        lists=dict(zip(divided, paths, strict=True)), pairs={name: len(found) for name, found in divided.items()}
    )


def split_samples(
    samples: Sequence[Sample], *, val: float, test: float = 0.0, group: str | None = None
) -> dict[str, list[Sample]]:
    """Divide samples so that no group is in two splits.

    Args:
        samples: Samples of one data set; those that share an image count once.
        val: Share of the groups that become `val`, 0..1.
        test: Share of the groups that become `test`, 0..1.
        group: Regular expression that finds the name of an image's group; see `layouts.splits.group_names`. None groups
            numbered series (`drive3_0001`, `drive3_0002`) if there are at least ten and none is larger than the
            smallest requested share; otherwise every image is its own group.

    Returns:
        `train` and every split with a share above 0, each in the order of ids.

    Raises:
        RecipeError: R203, the shares leave nothing to train on, or `group` is not a valid regular expression.
        DataError: D221, there are fewer groups than splits.
    """
    if not (0 <= val < 1 and 0 <= test < 1 and 0 < val + test < 1):
        raise RecipeError(
            "R203",
            f"`val` is {val} and `test` is {test}; expected shares from 0 to 1 with a sum above 0 and below 1",
            "use for example 0.2 for `val`",
        )
    unique = {_id(sample): sample for sample in samples}
    groups = group_names(list(unique), group, min(share for share in (val, test) if share))
    wanted = {name: share for name, share in (("test", test), ("val", val)) if share}
    split_of = _assign(sorted(set(groups.values())), wanted)
    divided: dict[str, list[Sample]] = {"train": [], **{name: [] for name in reversed(wanted)}}
    for id in sorted(unique):
        divided[split_of[groups[id]]].append(unique[id])
    return divided


def write_lists(divided: Mapping[str, Sequence[Sample]], folder: Path, *, replace: bool = False) -> list[Path]:
    """Write `train.txt`, `val.txt` ...: one pair per line, image and mask relative to the list, separated by a tab.

    Args:
        divided: Samples by split, from `split_samples`.
        folder: Folder for the lists; created if missing.
        replace: Overwrite existing lists.

    Raises:
        DataError: D225, a list exists; D130, a name contains a tab, a line break or a backslash, or is not UTF-8; D231,
            a sample has one mask per class.
        RunLockedError: L701, another process writes lists there.
        ResourceError: S601, the disk is full.
    """
    paths = {name: folder / f"{name}.txt" for name in divided}
    texts = {name: "".join(f"{_line(sample, folder)}\n" for sample in samples) for name, samples in divided.items()}
    # One lock for all lists, and renames in one go, so that there are never lists of two different divisions. The list
    # of train is renamed first, because the others mean nothing without it.
    with writing_alone(folder / "lists"):
        existing = [path for path in paths.values() if path.exists()]
        if existing and not replace:
            raise DataError("D225", f"{printable(existing[0])}: already exists", "`force` replaces the lists")
        with contextlib.ExitStack() as renames:
            for name, path in reversed(paths.items()):
                renames.enter_context(writing(path)).write_bytes(texts[name].encode("utf-8"))
    return list(paths.values())


def all_samples(dataset: Dataset) -> list[Sample]:
    """The labelled samples of all splits."""
    return [sample for samples in dataset.splits.values() for sample in samples if sample.mask_path is not None]


def _id(sample: Sample) -> str:
    # Names may repeat across split folders; any other folder's name would make groups depend on where the data lies.
    parts = sample.id.split("/")
    folder = sample.image_path.parent.name
    return "/".join(parts) if len(parts) > 1 else f"{folder}/{parts[0]}" if folder in SPLIT_NAMES else parts[0]


def _assign(names: Sequence[str], wanted: Mapping[str, float]) -> dict[str, str]:
    """Group -> split, by the hash of the group's name as a number from 0 to 1."""
    if len(names) <= len(wanted):
        raise DataError(
            "D221",
            f"{len(names)} group{'' if len(names) == 1 else 's'} ({', '.join(names)}) for {len(wanted) + 1} splits",
            "a group is never divided: choose another `group`, or fewer splits",
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
            # Take a group from train if it can spare one, else from another split; the lowest hash decides.
            counts = Counter(split_of.values())
            spare = [name for name in names if counts[split_of[name]] > 1]
            split_of[min(spare, key=lambda name: (split_of[name] != "train", places[name]))] = split
    return split_of


def _line(sample: Sample, folder: Path) -> str:
    if sample.class_masks:
        raise DataError(
            "D231",
            f"{printable(sample.image_path)}: multi-label data has one mask per class; a list names one per image",
            "move the images into images/train, images/val and images/test; the masks may stay where they are",
        )
    parts = [listed_path(path, folder) for path in (sample.image_path, sample.mask_path) if path is not None]
    # A backslash would be read as the path separator of Windows.
    if any(mark in part for part in parts for mark in "\t\n\r\\"):
        raise DataError(
            "D130",
            f"{printable(sample.image_path)}: a file name with a tab, a line break or a backslash cannot be listed",
            "rename it",
        )
    try:
        "".join(parts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            "D130", f"{printable(sample.image_path)}: a file name that is not UTF-8 cannot be listed", "rename it"
        ) from error
    return "\t".join(parts)
