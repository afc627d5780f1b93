"""A data set is looked at completely before anything trains on it.

Every image and mask is decoded once. Whatever is wrong becomes a finding with the files that have
it and the way out; nothing stops the audit, and nothing is written into the data set's folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np

from pixelwise.datasets.auditing.conclusions import Twins, collect_findings, relative_name
from pixelwise.datasets.auditing.examination import Examination, ExaminationCache, examine
from pixelwise.datasets.auditing.near_duplicates import KEPT_TWINS, NearDuplicate, Seen, repeated, twins_across
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.fingerprint import HashCache, stat_signature
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.classes.tables import IGNORE
from pixelwise.storage import printable, remembered, sha256_bytes
from pixelwise.storage.cache_kinds import AUDIT
from pixelwise.storage.caches import subject_of


class _Called(Observer):
    """Passes progress on to a function."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress

    def progress(self, done: int, total: int | None) -> None:
        self._progress(done, total or 0)


class SplitStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over the usable pairs of one split; class ids index the tuples.

    Attributes:
        images: Number of usable pairs.
        pixels: Labelled pixels of each class.
        void_pixels: Number of ignored pixels.
        labelled_pixels: All others; less than the sum of `pixels` where classes overlap (multi-label data).
        images_with_class: Number of images that hold the class.
        pixels_of_images_with_class: All pixels of those images, ignored ones included.
        mean: Mean over all pixels of the readable images in 0..1, of red, green and blue or of each of `data.channels`.
        std: Their standard deviation; with `mean`, what the network's input can be normalised by.
        repeated: Images that show nothing new after those before them, as the frames of a video do: the split
            says less than its number of images promises.
    """

    images: int
    pixels: tuple[int, ...]
    void_pixels: int
    images_with_class: tuple[int, ...]
    pixels_of_images_with_class: tuple[int, ...]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    repeated: int = 0
    labelled_pixels: int = 0


class ImageSizes(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes (height, width) of all readable images.

    Attributes:
        most_common: The size that most images have; (0, 0) if none is readable.
        most_common_images: How many have it.
        smallest: Size of the smallest area.
        largest: Size of the largest area.
        distinct: How many different sizes there are.
        histogram: The twenty most common sizes and how many images have them.
    """

    most_common: tuple[int, int] = (0, 0)
    most_common_images: int = 0
    smallest: tuple[int, int] = (0, 0)
    largest: tuple[int, int] = (0, 0)
    distinct: int = 0
    histogram: tuple[tuple[tuple[int, int], int], ...] = ()


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The result of looking at a data set.

    Attributes:
        dataset: Name of the data set's format.
        layout: The recognised layout, in words.
        classes: Class names; the position is the class id.
        splits: Number of pairs by split, usable or not.
        statistics: Counts over the usable pairs, by split.
        sizes: Sizes of the readable images.
        mask_encodings: How many masks are stored in which way, such as `palette PNG`.
        unusable: Per split, ids of the pairs with errors. They are left out where the user allows those errors
            (`data.allow`).
        findings: Errors first, then warnings.
        near_duplicates: Images of different splits that look alike, the likest first.
        multilabel: Whether a pixel may belong to several classes.
    """

    dataset: str
    layout: str
    classes: tuple[str, ...]
    splits: dict[str, int]
    statistics: dict[str, SplitStatistics]
    sizes: ImageSizes
    mask_encodings: dict[str, int]
    unusable: dict[str, tuple[str, ...]]
    findings: tuple[Finding, ...]
    near_duplicates: tuple[NearDuplicate, ...] = ()
    multilabel: bool = False

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop training unless they are allowed."""
        return tuple(found for found in self.findings if found.severity == "error")


def audit(
    dataset: Dataset,
    *,
    splits: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    fresh: bool = False,
    observer: Observer = SILENT,
) -> Audit:
    """Decode every pair of `dataset` and list everything that is wrong or odd.

    The result is kept in the user's cache folder and returned at once as long as no file's size or
    modification time changes and the data set is opened the same way.

    Args:
        dataset: The data set, as `open_dataset` gives it.
        splits: Names of the splits to look at; None takes all.
        progress: Called with the number of pairs done and that of all pairs; `observer` tells more.
        fresh: Look at every file again, and compare its content with the hash that an earlier
            audit kept: D103 where it changed although size and modification time did not.
        observer: Told how many pairs are done.
    """
    names = [name for name in dataset.splits if splits is None or name in splits]
    return remembered(
        AUDIT,
        _cache_key(dataset, names),
        Audit,
        lambda: _audit(dataset, names, observer if progress is None else _Called(progress), fresh=fresh),
        subject=subject_of(dataset.root.absolute(), dataset.name, dataset.reading, names),
        fresh=fresh,
    )


def _audit(dataset: Dataset, names: Sequence[str], observer: Observer, *, fresh: bool) -> Audit:
    observer.phase("looking at the data")
    pairs = [(name, sample) for name in names for sample in dataset.splits[name]]
    hashes = HashCache(dataset.root)
    examinations = _examine_all(dataset, pairs, hashes, observer=observer, fresh=fresh)
    statistics = {name: _statistics([e for e in examinations if e.split == name], dataset) for name in names}
    twins = _twins(examinations, names)
    return Audit(
        dataset=dataset.name,
        layout=dataset.layout,
        classes=dataset.classes,
        multilabel=dataset.multilabel,
        splits={name: len(dataset.splits[name]) for name in names},
        statistics=statistics,
        sizes=_sizes(examinations),
        mask_encodings=dict(Counter(e.encoding for e in examinations if e.encoding).most_common()),
        unusable={name: tuple(e.sample.id for e in examinations if e.split == name and e.errors) for name in names},
        findings=collect_findings(
            dataset, examinations, {n: s.pixels for n, s in statistics.items()}, hashes.changed, twins
        ),
        near_duplicates=tuple(
            NearDuplicate(
                splits=(one.split, other.split),
                ids=(one.id, other.id),
                files=(relative_name(one.path, dataset.root), relative_name(other.path, dataset.root)),
                distance=distance,
            )
            for pairs_of_splits in twins.values()
            for one, other, distance in pairs_of_splits[:KEPT_TWINS]
        ),
    )


def raise_for_errors(audit: Audit, allow: Sequence[str] = ()) -> None:
    """Refuse data with errors.

    Args:
        audit: What was found in the data.
        allow: Codes of errors that the user accepts (`data.allow`).

    Raises:
        DataError: With code, message and fix of the first error that is not allowed.
    """
    errors = [found for found in audit.errors if found.code not in allow]
    if not errors:
        return
    first = errors[0]
    message = first.message
    if len(first.files) > 1:
        more = first.total - len(first.files)
        message += f" [{', '.join(first.files)}{f' and {more} more' if more else ''}]"
    if len(errors) > 1:
        others = len(errors) - 1
        message += f"; and {others} more error type{'' if others == 1 else 's'}: run `pixelwise check`"
    raise DataError(first.code, message, first.fix)


def _examine_all(
    dataset: Dataset,
    pairs: Sequence[tuple[str, Sample]],
    hashes: HashCache,
    *,
    observer: Observer,
    fresh: bool,
) -> list[Examination]:
    """Every pair's examination, in order; what was learnt survives an interruption."""
    known = ExaminationCache(dataset, fresh=fresh)

    def look(pair: tuple[str, Sample]) -> Examination:
        found = known.get(*pair)
        if found is None:
            found = examine(*pair, dataset, hashes, fresh=fresh)
            known.put(found)
        return found

    examinations: list[Examination] = []
    try:
        with ThreadPoolExecutor(reading_threads()) as pool:
            for done, examination in enumerate(pool.map(look, pairs), start=1):
                examinations.append(examination)
                observer.progress(done, len(pairs))
    finally:
        hashes.save()
        known.save()
    return examinations


def _twins(examinations: Sequence[Examination], splits: Sequence[str]) -> Twins:
    """Images that look alike, for every two splits that share some."""
    seen = {split: [_seen(e) for e in examinations if e.split == split] for split in splits}
    pairs = {
        (one, other): twins_across(seen[one], seen[other])
        for index, one in enumerate(splits)
        for other in splits[index + 1 :]
    }
    return {names: found for names, found in pairs.items() if found}


def _seen(examination: Examination) -> Seen:
    sample = examination.sample
    return Seen(examination.split, sample.id, sample.image_path, examination.digest, examination.look)


def _cache_key(dataset: Dataset, splits: Sequence[str]) -> str:
    paths = [
        path for name in splits for sample in dataset.splits[name] for path in (sample.image_path, *sample.mask_files)
    ]
    described = msgspec.json.encode((AUDIT.version, dataset, splits), enc_hook=printable)
    return sha256_bytes(described + stat_signature(paths).encode())[:24]


def _statistics(examinations: Sequence[Examination], dataset: Dataset) -> SplitStatistics:
    num_classes = len(dataset.classes)
    usable = [e.pixels for e in examinations if e.pixels is not None]
    counts = np.stack(usable) if usable else np.zeros((0, 256), np.int64)
    pixels = counts[:, :num_classes]
    present = pixels > 0
    areas = np.array([e.size[0] * e.size[1] for e in examinations if e.pixels is not None], np.int64)[:, None]
    mean, std = _normalisation(examinations, len(dataset.reading.channels or (0, 1, 2)))
    return SplitStatistics(
        images=len(usable),
        pixels=tuple(pixels.sum(axis=0).tolist()),
        void_pixels=int(counts[:, IGNORE].sum()),
        labelled_pixels=int(areas.sum() - counts[:, IGNORE].sum()),
        images_with_class=tuple(present.sum(axis=0).tolist()),
        pixels_of_images_with_class=tuple((present * areas).sum(axis=0).tolist()),
        mean=mean,
        std=std,
        repeated=repeated([_seen(e) for e in examinations]),
    )


def _normalisation(examinations: Sequence[Examination], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels, in 0..1."""
    readable = [e for e in examinations if e.image is not None]
    if not readable:
        return (0.0,) * channels, (1.0,) * channels
    areas = np.array([e.size[0] * e.size[1] for e in readable], np.float64)[:, None]
    means = (areas * [e.channel_means for e in readable]).sum(axis=0) / areas.sum()
    squares = (areas * [e.channel_squares for e in readable]).sum(axis=0) / areas.sum()
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    return tuple((means / 255).tolist()), tuple((deviations / 255).tolist())


def _sizes(examinations: Sequence[Examination]) -> ImageSizes:
    counts = Counter(e.size for e in examinations if e.image is not None)
    if not counts:
        return ImageSizes()
    most_common, images = counts.most_common(1)[0]
    by_area = sorted(counts, key=lambda size: (size[0] * size[1], size))
    return ImageSizes(
        most_common=most_common,
        most_common_images=images,
        smallest=by_area[0],
        largest=by_area[-1],
        distinct=len(counts),
        histogram=tuple(counts.most_common(20)),
    )
