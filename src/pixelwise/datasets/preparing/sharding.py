"""Puts a data set into shards: tars of its files as they are, and an index."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.description import DESCRIPTION_FILE, is_described
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.opening import open_whole
from pixelwise.datasets.preparing.converting import INCOMPLETE
from pixelwise.datasets.preparing.options import ShardOptions
from pixelwise.datasets.preparing.targets import Target, writing_shards
from pixelwise.datasets.reading.files import open_regular
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions.measuring import class_pixels, measure_labels
from pixelwise.datasets.reading.regions.pairs import PairRegions, is_in_parts
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.datasets.shards.facts import INDEX, Facts, mask_roles
from pixelwise.datasets.shards.index import IndexWriter, Row
from pixelwise.datasets.shards.packages import parquet
from pixelwise.datasets.shards.tars import TarWriter, member_names, webdataset_keys
from pixelwise.errors import DataError, RecipeError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import Overrides, apply_overrides
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.atomic import require_space
from pixelwise.storage.byte_counts import parse_byte_count
from pixelwise.storage.documents import read_document
from pixelwise.storage.names import distinct
from pixelwise.storage.stores.addresses import place_of, recorded
from pixelwise.storage.stores.members import Member, in_memory

_LARGEST_TOML = 4 * 1024**2
_LARGEST_TOGETHER = 512 * 1024**2
"""Bytes of files that are in memory at the same time, but for a single larger pair."""
_HEADERS = 2048
"""Bytes that a file takes in a tar in addition to its content, at most for names of usual length."""


class ShardedData(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that was put into shards.

    Attributes:
        root: The folder or address that was written.
        classes: Class names; the position is the class id.
        pairs: Number of images per split.
        shards: Number of tars.
        bytes: Their size together.
        faulty: Printable name of each image of a pair that is in the tars although it cannot be used -> code of its
            error, which was allowed.
        problems: Findings about files, annotations and lines of the original that are not in the tars.
    """

    root: Path
    classes: tuple[str, ...]
    pairs: dict[str, int]
    shards: int
    bytes: int
    faulty: dict[str, str] = {}
    problems: tuple[Finding, ...] = ()


def shard(
    root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    overrides: Overrides = (),
    options: ShardOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> ShardedData:
    """Put any readable data set into shards; after an error or a kill, there is nothing that looks complete.

    The tars hold every image and mask as it is, byte for byte, under the names that WebDataset uses. `index.parquet`
    says where each of them lies. What the data says about its classes is kept beside, in `dataset.toml` and in the
    index, so that the folder opens like the original: the same classes, splits, order and fingerprint.

    Args:
        root: Folder of the data set.
        output: Path of the folder to create, or an address of an object store such as `s3://bucket/photos`, below
            which there is nothing. Tars are sent there one by one, the index last; what an earlier call of the same
            job has sent is kept.
        overrides: Overrides that set how the data is read and checked, such as `data.dataset=coco` or
            `data.allow=["D220"]`. They are not stored: whoever opens the shards gives them again.
        options: See `ShardOptions`; single options can be given by keyword.
        observer: Receives the number of finished images.
        **changes: Fields of `ShardOptions`, which override `options`.

    Raises:
        DataError: D225, `output` exists or is not empty; D220, D228, D230 or D232, files, lines or annotations cannot
            be used; the first error of a pair, such as D203 for a mask that is a JPEG file; both unless `data.allow`
            names them; errors that opening the data set raises.
        RecipeError: R240, pyarrow, or obstore for an address, is not installed; R260, `size` is not a size; an override
            is invalid.
        RunLockedError: L701, another process writes to the folder `output`.
        ResourceError: S601 or S602, the disk is full or has too little space; S611, the address cannot be written.
    """
    options = chosen(ShardOptions, options, changes)
    size = _size(options)
    parquet()  # refused now, not after the data was opened
    output = place_of(output)
    data = apply_overrides(find(DEFAULT_RECIPE), overrides).data
    layout, dataset = open_whole(data, place_of(root))
    refused = next((one for one in dataset.problems if one.code in INCOMPLETE and one.code not in data.allow), None)
    if refused is not None:
        raise DataError(refused.code, refused.message, refused.fix)
    observer.phase("putting the data into shards")
    job = sha256_bytes(msgspec.json.encode((recorded(layout.root), size, data)))
    with writing_shards(output, job) as target:
        written = _written(layout, dataset, target, size, data.allow, observer)
    return msgspec.structs.replace(written, root=output, problems=dataset.problems)


def _size(options: ShardOptions) -> int:
    try:
        size = parse_byte_count(options.size)
    except ValueError:
        size = 0
    if size < 1:
        raise RecipeError("R260", f"`size` is {options.size!r}; expected a size such as 1GB", "change `size`")
    return size


class _Group(NamedTuple):
    """Samples of a split: its name in the index, the start of the names of its tars, and where it is listed."""

    label: str
    prefix: str
    samples: Sequence[Sample]


def _groups(layout: Layout) -> list[_Group]:
    """The splits, and those of other divisions, which mostly hold the same files."""
    named = [
        *((split, split, samples) for split, samples in layout.splits.items()),
        *(
            (_division(train, split), split, samples)
            for train, splits in layout.divisions.items()
            for split, samples in splits.items()
        ),
    ]
    prefixes = distinct([label.replace("/", "_") for label, _, _ in named], endings=("-000000.tar",))
    return [_Group(label, prefix, samples) for (label, _, samples), prefix in zip(named, prefixes, strict=True)]


def _division(train: str, split: str) -> str:
    return f"{train}/{split}"


def _written(
    layout: Layout, dataset: Dataset, target: Target, size: int, allow: Collection[str], observer: Observer
) -> ShardedData:
    groups = _groups(layout)
    roles = mask_roles(len(layout.classes or ()) if layout.multilabel else None)
    folder = target.folder
    require_space(folder, target.space(_bytes_of(groups), size), "putting the files into shards")
    tars = TarWriter(folder, size, target.tar_finished)
    index = IndexWriter(folder / INDEX, roles, len(dataset.classes))
    # The same files in several splits are written once.
    known: dict[tuple[Path | None, ...], Row] | None = {} if layout.overlapping or layout.divisions else None
    faulty: dict[str, str] = {}
    done, total = 0, sum(len(group.samples) for group in groups)
    try:
        for group in groups:
            keys = webdataset_keys([sample.id for sample in group.samples])
            for key, looked in zip(keys, _looked_at(group.samples, dataset, allow), strict=True):
                sample = looked.sample
                row = known.get(_files(sample, layout)) if known is not None else None
                if row is None:
                    row = _add(tars, group, key, looked, layout)
                row = row._replace(split=group.label, key=sample.id)
                if known is not None:
                    known[_files(sample, layout)] = row
                index.add(row)
                if looked.error is not None:
                    faulty[printable(sample.image_path)] = looked.error.code
                done += 1
                observer.progress(done, total)
        tars.close()
        index.close(_facts(layout, dataset, tars, roles))
    except BaseException:
        tars.abandon()
        with contextlib.suppress(Exception):  # the first error matters
            index.abandon()
        raise
    if is_described(layout.description_folder):
        (folder / DESCRIPTION_FILE).write_bytes(_description(layout.description_folder))
    return ShardedData(
        root=folder,
        classes=dataset.classes,
        pairs={split: len(samples) for split, samples in layout.splits.items()},
        shards=len(tars.shards),
        bytes=sum(one.size for one in tars.shards),
        faulty=faulty,
    )


def _files(sample: Sample, layout: Layout) -> tuple[Path | None, ...]:
    """The image and its masks, with None for each that is missing, in the order of the index's columns."""
    if layout.multilabel:
        classes = sample.class_masks or (None,) * len(layout.classes or ())
        return (sample.image_path, *classes, sample.ignore_mask)
    return (sample.image_path, sample.mask_path)


class _Looked(NamedTuple):
    """A sample with the content of its files, the size of its image and its pixels per class.

    Attributes:
        sample: The sample, with its own paths.
        contents: Content of the files by path.
        size: (height, width) of the image; (0, 0) if it cannot be read.
        pixels: Pixels of each class, then ignored ones; all 0 without labels that can be read.
        error: Why the pair cannot be used; None if it can.
    """

    sample: Sample
    contents: dict[Path, bytes]
    size: tuple[int, int]
    pixels: tuple[int, ...]
    error: DataError | None


def _looked_at(samples: Sequence[Sample], dataset: Dataset, allow: Collection[str]) -> Iterator[_Looked]:
    """Read and check the samples in their order, a few at a time in memory.

    Raises:
        DataError: The first error that is not allowed.
    """
    threads = reading_threads()

    def look(sample: Sample) -> _Looked:
        contents: dict[Path, bytes] = {}
        size, pixels, error = (0, 0), (0,) * (len(dataset.classes) + 1), None
        try:
            for path in (sample.image_path, *sample.mask_files):
                with open_regular(path) as stream:
                    contents[path] = stream.read()
            # What is checked is what is written.
            size, pixels = _checked(_in_memory(sample, contents), dataset)
        except DataError as found:
            if found.code not in allow or len(contents) < 1 + len(sample.mask_files):
                raise
            error = found
        return _Looked(sample, contents, size, pixels, error)

    with thread_pool(threads) as pool:
        for some in _together(samples, 4 * threads):
            yield from pool.map(look, some)


def _together(samples: Sequence[Sample], most: int) -> Iterator[list[Sample]]:
    """The samples, as many together as are read at the same time: at most so many, and few of large ones."""
    some: list[Sample] = []
    size = 0
    for sample in samples:
        needed = sum(_size_of(path) for path in (sample.image_path, *sample.mask_files))
        if some and (len(some) == most or size + needed > _LARGEST_TOGETHER):
            yield some
            some, size = [], 0
        some.append(sample)
        size += needed
    if some:
        yield some


def _size_of(path: Path) -> int:
    """Bytes of a file as far as they are known without reading it."""
    if isinstance(path, Member) and path.place is not None and not path.place.store.by_bytes:
        return 0  # cells of tables tell their size when they are read
    with contextlib.suppress(OSError):  # reading it tells what is wrong
        return path.stat().st_size
    return 0


def _in_memory(sample: Sample, contents: dict[Path, bytes]) -> Sample:
    def held(path: Path | None) -> Path | None:
        return None if path is None else in_memory(path, contents[path])

    return msgspec.structs.replace(
        sample,
        image_path=in_memory(sample.image_path, contents[sample.image_path]),
        mask_path=held(sample.mask_path),
        class_masks=tuple(held(path) for path in sample.class_masks),
        ignore_mask=held(sample.ignore_mask),
    )


def _checked(sample: Sample, dataset: Dataset) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Size of the image, and the number of pixels of each class and of ignored ones."""
    number = len(dataset.classes)
    if is_in_parts(sample.image_path, dataset.reading) and sample.mask_path is not None:
        return _checked_in_parts(sample, dataset)
    if not sample.mask_files:
        image = read_image(sample.image_path, dataset.reading)
        return (image.shape[0], image.shape[1]), (0,) * (number + 1)
    image, labels = read_pair(sample, dataset)
    found = class_pixels(labels) if dataset.multilabel else np.bincount(labels.ravel(), minlength=256)
    return (image.shape[0], image.shape[1]), (*found[:number].tolist(), int(found[IGNORE]))


def _checked_in_parts(sample: Sample, dataset: Dataset) -> tuple[tuple[int, int], tuple[int, ...]]:
    """As `_checked`, of a pair that is too large to be decoded whole."""
    with PairRegions(sample, dataset) as pair:
        for band in pair.mask.bands():
            pair.regions.read(band)
        size = pair.regions.size
    measured = measure_labels(sample, dataset, size)
    if measured.errors:
        raise measured.errors[0][1]
    return size, (*measured.pixels[: len(dataset.classes)].tolist(), int(measured.pixels[IGNORE]))


def _add(tars: TarWriter, group: _Group, key: str, looked: _Looked, layout: Layout) -> Row:
    """Write the files of a sample to a tar; returns its row."""
    image, *masks = _files(looked.sample, layout)
    if image is None:
        raise AssertionError  # every sample has an image
    names = member_names(key, image, masks, multilabel=layout.multilabel)
    files = [
        None if path is None else (name, looked.contents[path])
        for name, path in zip(names, (image, *masks), strict=True)
    ]
    number, placed = tars.add(group.prefix, files)
    return Row(group.label, looked.sample.id, number, tuple(placed), looked.size, looked.pixels)


def _facts(layout: Layout, dataset: Dataset, tars: TarWriter, roles: tuple[str, ...]) -> Facts:
    described = is_described(layout.description_folder)
    return Facts(
        format=layout.name,
        description=layout.description,
        masks=roles,
        number_of_classes=len(dataset.classes),
        shards=tuple(tars.shards),
        divided=isinstance(layout.splits, Divided),
        overlapping=layout.overlapping,
        divisions={
            train: {split: _division(train, split) for split in splits} for train, splits in layout.divisions.items()
        },
        classes=layout.classes,
        palette=layout.palette,
        label_map=layout.label_map,
        colors=layout.colors,
        label_names=layout.label_names,
        multilabel=layout.multilabel,
        lists_classes=layout.lists_classes,
        dataset_toml=_description(layout.description_folder).decode("utf-8", "replace") if described else None,
    )


def _description(root: Path) -> bytes:
    return read_document(root / DESCRIPTION_FILE, _LARGEST_TOML)


def _bytes_of(groups: Sequence[_Group]) -> int:
    """Bytes that the files take in tars; those that are in several splits count once."""
    files = {path for group in groups for one in group.samples for path in (one.image_path, *one.mask_files)}
    return sum(_size_of(path) + _HEADERS for path in files)
