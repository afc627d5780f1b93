"""Divides a data set into train, val and test by writing lists of its files.

No file is moved or copied; `pixelwise.datasets.preparing.stratifying` explains how images are assigned.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pixelwise.datasets.layouts.lists.files import UNFINISHED_DIVISION
from pixelwise.datasets.layouts.splits import (
    VALIDATION_SHARE,
    groups_of,
    images_of_share,
    without_split,
)
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.preparing.options import SplitOptions
from pixelwise.datasets.preparing.stratifying import stratified
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.datasets.shards.layout import is_sharded
from pixelwise.errors import DataError, RecipeError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.overrides import Overrides
from pixelwise.storage import printable, write_bytes, writing
from pixelwise.storage.documents import parse_json
from pixelwise.storage.locks import writing_alone
from pixelwise.storage.names import counted, listed_path
from pixelwise.storage.series import series_pattern, shown_series

SPLITS = ("train", "val", "test")


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """How a data set was divided.

    Attributes:
        lists: Path of the list that was written for each split.
        pairs: Number of pairs per split.
        missing: Names of the classes that no image of a split holds, although another split does; only splits that lack
            any.
    """

    lists: dict[str, Path]
    pairs: dict[str, int]
    missing: dict[str, tuple[str, ...]] = {}


def split(
    root: str | os.PathLike[str],
    overrides: Overrides = (),
    options: SplitOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Division:
    """Divide a data set into train, val and test by writing lists of its files; no file is moved.

    Args:
        root: Folder of the data set.
        overrides: Overrides that set how the data is read, such as `data.dataset=folder`.
        options: See `SplitOptions`; single options can be given by keyword.
        observer: Receives the number of masks that were read.
        **changes: Fields of `SplitOptions`, which override `options`.

    Raises:
        DataError: D221, there are fewer groups than splits; D222, the data is in shards; D225, a list exists; D130, a
            name contains a tab, a line break or a backslash, or is not UTF-8; D231, the data is multi-label.
        RecipeError: R203, the shares leave nothing to train on, or `group` is not a valid regular expression.
        RunLockedError: L701, another process divides this data.
        ResourceError: S601, the disk is full.
    """
    options = chosen(SplitOptions, options, changes)
    if is_sharded(Path(root)):
        raise DataError(
            "D222",
            f"{printable(Path(root))}: holds shards, whose files lists cannot name",
            "split the loose files, then make the shards again with `pixelwise data shard`",
        )
    folder = options.output or Path(root)
    # From before the data is opened: with half of another process's lists it would look as if one were missing.
    with contextlib.ExitStack() as locks:
        locks.enter_context(writing_alone(folder / "lists"))
        finish_lists(folder)
        _, dataset = open_folder(Path(root), overrides)
        _wanted(2, options.val, options.test)  # refused now, not after all masks were read
        if options.output is None and not dataset.root.samefile(folder):  # `root` holds the data in a folder of it
            folder = dataset.root
            locks.enter_context(writing_alone(folder / "lists"))
        samples = all_samples(dataset)
        groups = groups_of([*map(id_in_groups, samples)], options.group, _smallest_share(options.val, options.test))
        warn_of_divided_series(samples, groups.values(), options.group, observer)
        classes = classes_in(dataset, samples, observer)
        divided = split_samples(
            samples, val=options.val, test=options.test, group=options.group, seed=options.seed, classes=classes
        )
        paths = write_lists(divided, folder, replace=options.force)
    held = {name: set().union(*(classes[id_in_groups(one)] for one in found)) for name, found in divided.items()}
    everywhere = sorted(set().union(*held.values()))
    return Division(
        lists=dict(zip(divided, paths, strict=True)),
        pairs={name: len(found) for name, found in divided.items()},
        missing={
            name: tuple(dataset.classes[one] for one in everywhere if one not in own)
            for name, own in held.items()
            if len(own) < len(everywhere)
        },
    )


def classes_in(dataset: Dataset, samples: Sequence[Sample], observer: Observer = SILENT) -> dict[str, frozenset[int]]:
    """Name of each sample (see `split_samples`) -> ids of the classes in its mask; none if the mask cannot be read."""

    def read(sample: Sample) -> frozenset[int]:
        with contextlib.suppress(DataError):
            labels = read_labels(sample, dataset)
            if not dataset.multilabel:
                return frozenset(np.unique(labels).tolist()) - {IGNORE}
        return frozenset()

    observer.phase("reading the masks")
    found: dict[str, frozenset[int]] = {}
    with thread_pool(reading_threads()) as pool:
        for done, (sample, classes) in enumerate(zip(samples, pool.map(read, samples), strict=True), start=1):
            found[id_in_groups(sample)] = classes
            observer.progress(done, len(samples))
    return found


def split_samples(
    samples: Sequence[Sample],
    *,
    val: float | None = None,
    test: float = 0.0,
    group: str | None = None,
    seed: int = 0,
    classes: Mapping[str, Collection[int]] | None = None,
) -> dict[str, list[Sample]]:
    """Divide samples so that no group is in two splits, and every split has its share of the images of every class.

    Args:
        samples: Samples of one data set; those that share an image count once.
        val: Share of the images that become `val`, 0..1; None: see `layouts.splits.images_of_share`.
        test: Share of the images that become `test`, 0..1.
        group: Regular expression that finds the name of an image's group; see `groups_of`. None groups
            numbered series (`drive3_0001`, `drive3_0002`) if there are at least ten and none is larger than the
            smallest requested share; otherwise every image is its own group.
        seed: Seed of the order in which groups are taken.
        classes: Name of each sample -> ids of the classes in its mask, from `classes_in`; None divides by names alone.

    Returns:
        `train` and every split with a share above 0, each in the order of ids.

    Raises:
        RecipeError: R203, the shares leave nothing to train on, or `group` is not a valid regular expression.
        DataError: D221, there are fewer groups than splits.
    """
    unique = {id_in_groups(sample): sample for sample in samples}
    wanted = _wanted(len(unique), val, test)
    groups = groups_of(list(unique), group, _smallest_share(val, test))
    sizes = Counter(groups.values())
    if len(sizes) <= len(wanted):
        raise DataError(
            "D221",
            f"{counted(len(sizes), 'group')} ({', '.join(sorted(sizes))}) for {len(wanted) + 1} splits",
            "a group is never divided: choose another `group`, or fewer splits",
        )
    of_groups: dict[str, set[int]] = {name: set() for name in sizes}
    for id, name in groups.items():
        of_groups[name].update((classes or {}).get(id, ()))
    split_of = stratified(sizes, of_groups, wanted, seed)
    divided: dict[str, list[Sample]] = {"train": [], **{name: [] for name in ("val", "test") if name in wanted}}
    for id in sorted(unique):
        divided[split_of[groups[id]]].append(unique[id])
    return divided


def _smallest_share(val: float | None, test: float) -> float:
    return min(share for share in (VALIDATION_SHARE if val is None else val, test) if share)


def warn_of_divided_series(
    samples: Sequence[Sample], groups: Collection[str], group: str | None, observer: Observer
) -> int:
    """Warn if names show series, such as the drives of a video, that are no groups and so are divided.

    Args:
        samples: The samples.
        groups: Names of their groups, from `groups_of`.
        group: The pattern that was asked for; with one, somebody has thought of it.
        observer: Receives the warning W265.

    Returns:
        Number of such series.
    """
    names = {id_in_groups(sample) for sample in samples}
    if group is not None or len(set(groups)) < len(names):
        return 0
    bare = sorted(set(map(without_split, names)))
    series = shown_series(bare)
    if series:
        observer.warn(
            "W265",
            f"the names of the images show {series} series, too few or too large to stay together, so they are "
            "divided: if images of a series are alike, the score is too high "
            f"(--group {shlex.quote(series_pattern(bare))} keeps each together)",
        )
    return series


def _wanted(images: int, val: float | None, test: float) -> dict[str, int]:
    """Split -> number of images, for the splits with a share above 0."""
    shares = VALIDATION_SHARE if val is None else val, test
    if not (0 <= shares[0] < 1 and 0 <= test < 1 and 0 < sum(shares) < 1):
        raise RecipeError(
            "R203",
            f"`val` is {shares[0]} and `test` is {test}; expected shares from 0 to 1 with a sum above 0 and below 1",
            "use for example 0.2 for `val`",
        )
    numbers = {
        name: max(1, round(share * images)) for name, share in zip(("val", "test"), shares, strict=True) if share
    }
    return numbers if val is not None else {**numbers, "val": images_of_share(images, VALIDATION_SHARE)}


def write_lists(divided: Mapping[str, Sequence[Sample]], folder: Path, *, replace: bool = False) -> list[Path]:
    """Write `train.txt`, `val.txt` ...: one pair per line, image and mask relative to the list, separated by a tab.

    Within `writing_alone(folder / "lists")`, as `finish_lists`.

    Args:
        divided: Samples by split, from `split_samples`.
        folder: Folder for the lists; created if missing.
        replace: Overwrite existing lists.

    Raises:
        DataError: D225, another list exists; D130, a name contains a tab, a line break or a backslash, or is not UTF-8;
            D231, a sample has one mask per class.
        ResourceError: S601, the disk is full.
    """
    paths = {name: folder / f"{name}.txt" for name in divided}
    texts = {name: "".join(f"{_line(sample, folder)}\n" for sample in samples) for name, samples in divided.items()}
    existing = [path for name, path in paths.items() if path.exists() and path.read_bytes() != texts[name].encode()]
    if existing and not replace:
        raise DataError("D225", f"{printable(existing[0])}: already exists", "`force` replaces the lists")
    write_bytes(folder / UNFINISHED_DIVISION, msgspec.json.encode(_Unfinished(texts, bool(existing))))
    _write_all(folder, texts)
    return list(paths.values())


class _Unfinished(msgspec.Struct, frozen=True):
    """Lists that are being written: split -> content, and whether they take the place of others."""

    texts: dict[str, str]
    replaces: bool


def finish_lists(folder: Path) -> None:
    """Bring lists into order whose writer was killed: they may be of two different divisions.

    Those that took the place of others are all written; new ones are removed, so that the data is what it was.

    Raises:
        ResourceError: S601, the disk is full.
    """
    unfinished = folder / UNFINISHED_DIVISION
    if not unfinished.is_file():
        return
    found = parse_json(unfinished.read_bytes(), _Unfinished, unfinished)
    if not set(found.texts) <= set(SPLITS):
        return
    if found.replaces:
        _write_all(folder, found.texts)
        return
    for name, text in found.texts.items():
        path = folder / f"{name}.txt"
        if path.exists() and path.read_bytes() == text.encode("utf-8"):
            path.unlink()
    unfinished.unlink()


def _write_all(folder: Path, texts: Mapping[str, str]) -> None:
    paths = {name: folder / f"{name}.txt" for name in texts}
    # All are written before the first is renamed, for the case that the disk is full. That of train is renamed last:
    # without it, the others are an error for whoever opens the data in between.
    with contextlib.ExitStack() as renames:
        for name in sorted(paths, key=lambda name: name != "train"):
            renames.enter_context(writing(paths[name])).write_bytes(texts[name].encode("utf-8"))
        if any(path.exists() for path in paths.values()):
            (folder / "train.txt").unlink(missing_ok=True)
    (folder / UNFINISHED_DIVISION).unlink()


def all_samples(dataset: Dataset) -> list[Sample]:
    """The labelled samples of all splits."""
    return [sample for samples in dataset.splits.values() for sample in samples if sample.mask_path is not None]


def id_in_groups(sample: Sample) -> str:
    """The name of an image by which groups are formed: its id, with the folder of its split if it is in one."""
    # Names may repeat across split folders; any other folder's name would make groups depend on where the data lies.
    parts = sample.id.split("/")
    folder = sample.image_path.parent.name
    return "/".join(parts) if len(parts) > 1 else f"{folder}/{parts[0]}" if folder in SPLIT_NAMES else parts[0]


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
