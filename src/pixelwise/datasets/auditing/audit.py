"""The audit of a whole data set before anything trains on it.

Every image and mask is decoded once. Each problem becomes a finding that names the affected files and the fix. No
problem stops the audit, and nothing is written into the data set's folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.auditing.conclusions import Twins, collect_findings
from pixelwise.datasets.auditing.correspondence import MOST_COMPARED, SHOWN, MaskFit, mask_fits
from pixelwise.datasets.auditing.examination import Examination, ExaminationCache, examine, relative_name
from pixelwise.datasets.auditing.near_duplicates import KEPT_TWINS, HashedImage, NearDuplicate, repeated, twins_across
from pixelwise.datasets.auditing.places import Places, places_of
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.fingerprint import HashCache, stat_signature
from pixelwise.datasets.reading.ahead import TOGETHER, fetch_files, is_far
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable, remembered, sha256_bytes
from pixelwise.storage.cache_kinds import AUDIT
from pixelwise.storage.caches import subject_of
from pixelwise.storage.names import counted
from pixelwise.views import line


class _ProgressCallback(Observer):
    """Forwards progress to a function."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress

    def progress(self, done: int, total: int | None) -> None:
        self._progress(done, total or 0)


class SplitStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over the usable pairs of one split; tuples are indexed by class id or by channel.

    Attributes:
        images: Number of usable pairs.
        pixels: Number of labelled pixels of each class.
        void_pixels: Number of ignored pixels.
        labelled_pixels: Number of pixels that are not ignored; less than the sum of `pixels` where classes overlap
            (multi-label data).
        images_with_class: Number of images that contain each class.
        pixels_of_images_with_class: Number of pixels, ignored ones included, in the images that contain each class.
        mean: Mean over all pixels of the readable images, 0..1, of red, green and blue or of each of `data.channels`.
        std: Standard deviation of the same channels; `mean` and `std` can normalise the network's input.
        repeated: Number of images that look like the ones before them, as neighbouring frames of a video do: the split
            has less variety than its number of images suggests.
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
        most_common: The most frequent size; (0, 0) if no image is readable.
        most_common_images: Number of images of the most frequent size.
        usual: The most frequent size if half of the images have it, else that of the image of median area.
        smallest: Size with the smallest area.
        largest: Size with the largest area.
        distinct: Number of different sizes.
        histogram: The twenty most frequent sizes, each with its number of images.
    """

    most_common: tuple[int, int] = (0, 0)
    most_common_images: int = 0
    usual: tuple[int, int] = (0, 0)
    smallest: tuple[int, int] = (0, 0)
    largest: tuple[int, int] = (0, 0)
    distinct: int = 0
    histogram: tuple[tuple[tuple[int, int], int], ...] = ()


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The result of auditing a data set.

    Attributes:
        dataset: Name of the data set's format.
        layout: The recognised layout, in words.
        classes: Class names; the position is the class id.
        splits: Number of pairs per split, unusable ones included.
        statistics: Counts over the usable pairs of each split.
        sizes: Sizes of the readable images.
        mask_encodings: Number of masks per encoding, such as `palette PNG`.
        unusable: Ids of the pairs with errors, per split. They are skipped when the user allows those errors
            (`data.allow`).
        findings: Errors first, then warnings.
        near_duplicates: Images of different splits that look alike, for each two splits the most similar first.
        multilabel: Whether a pixel may belong to several classes.
        least_fitting: The masks whose borders agree least with the edges of their photos, the suspicious ones first.
        turned: Number of images that were turned upright because their files (EXIF, XMP) state another orientation.
        places: Where the images lie on the map; None if none of them has a position.
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
    least_fitting: tuple[MaskFit, ...] = ()
    turned: int = 0
    places: Places | None = None

    def __repr__(self) -> str:
        pairs = ", ".join(f"{number} {split}" for split, number in self.splits.items())
        warnings = len(self.findings) - len(self.errors)
        return line(
            "Audit", self.dataset, pairs, f"{counted(len(self.errors), 'error')}, {counted(warnings, 'warning')}"
        )

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
    """Decode every pair of `dataset` and collect everything that is wrong or suspicious.

    The result is cached in the user's cache folder and reused as long as no file's size or modification time changes
    and the data set is opened in the same way.

    Args:
        dataset: The data set, as returned by `open_dataset`.
        splits: Names of the splits to audit; None audits all.
        progress: Called with the number of finished pairs and the total; it takes the place of `observer`.
        fresh: Examine every file again and compare its content with the hash stored by an earlier audit: D103 where
            it changed although size and modification time did not.
        observer: Receives the number of finished pairs.
    """
    names = [name for name in dataset.splits if splits is None or name in splits]
    return remembered(
        AUDIT,
        _cache_key(dataset, names),
        Audit,
        lambda: _audit(dataset, names, observer if progress is None else _ProgressCallback(progress), fresh=fresh),
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
    places, elsewhere = places_of(dataset, examinations)
    fits = mask_fits([(e.split, e.sample.id, e.grids) for e in examinations])
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
            dataset, examinations, {n: s.pixels for n, s in statistics.items()}, hashes.changed, twins, fits
        )
        + tuple(elsewhere),
        places=places,
        least_fitting=tuple(fits[:SHOWN]),
        turned=_turned(examinations) if dataset.reading.exif == "apply" else 0,
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
    """Raise the first error that is not allowed, if there is one.

    Args:
        audit: The audit whose errors are checked.
        allow: Codes of errors that the user accepts (`data.allow`).

    Raises:
        DataError: Code, message and fix are those of the first error that is not allowed.
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
        message += f"; and {counted(others, 'more error')}: run `pixelwise check`"
    raise DataError(first.code, message, first.fix)


def _examine_all(
    dataset: Dataset,
    pairs: Sequence[tuple[str, Sample]],
    hashes: HashCache,
    *,
    observer: Observer,
    fresh: bool,
) -> list[Examination]:
    """Examine every pair, in order; finished examinations are cached even if the audit is interrupted."""
    known = ExaminationCache(dataset, fresh=fresh)
    step = -(-len(pairs) // MOST_COMPARED)
    compared = {(name, sample.id) for name, sample in pairs[:: max(1, step)]}

    def examined(pair: tuple[str, Sample]) -> Examination:
        found = known.get(*pair)
        if found is None:
            found = examine(*pair, dataset, hashes, fresh=fresh, compared=(pair[0], pair[1].id) in compared)
            known.put(found)
        return found

    examinations: list[Examination] = []
    try:
        with thread_pool(reading_threads()) as pool:
            for together in _together(pairs, known, dataset):
                for examination in pool.map(examined, together):
                    examinations.append(examination)
                    observer.progress(len(examinations), len(pairs))
    finally:
        hashes.save()
        known.save()
    return examinations


def _together(
    pairs: Sequence[tuple[str, Sample]], known: ExaminationCache, dataset: Dataset
) -> Iterator[Sequence[tuple[str, Sample]]]:
    """The pairs in parts that are examined together: all of them, but a few of those that lie on another machine."""
    if not is_far(dataset):
        yield pairs
        return
    for start in range(0, len(pairs), 4 * TOGETHER):
        some = pairs[start : start + 4 * TOGETHER]
        fetch_files(sample for split, sample in some if known.get(split, sample) is None)
        yield some


def _twins(examinations: Sequence[Examination], splits: Sequence[str]) -> Twins:
    """Near-duplicates across splits, for every two splits that have any."""
    images = {split: [_hashed(e) for e in examinations if e.split == split] for split in splits}
    pairs = {
        (one, other): twins_across(images[one], images[other])
        for index, one in enumerate(splits)
        for other in splits[index + 1 :]
    }
    return {names: found for names, found in pairs.items() if found}


def _hashed(examination: Examination) -> HashedImage:
    sample = examination.sample
    return HashedImage(examination.split, sample.id, sample.image_path, examination.digest, examination.look)


def _cache_key(dataset: Dataset, splits: Sequence[str]) -> str:
    paths = [
        path for name in splits for sample in dataset.splits[name] for path in (sample.image_path, *sample.mask_files)
    ]
    plain = msgspec.to_builtins((AUDIT.version, dataset, splits), enc_hook=_plain)
    # Names of classes and files may hold bytes that are not UTF-8, which JSON writes as escapes.
    described = json.dumps(plain)
    return sha256_bytes((described + stat_signature(paths)).encode())[:24]


def _plain(value: Path | Sequence[Sample]) -> str | list[Sample]:
    return printable(value) if isinstance(value, Path) else list(value)


def _turned(examinations: Sequence[Examination]) -> int:
    """Number of different image files that state another orientation than upright."""
    return len({e.sample.image_path for e in examinations if e.image is not None and e.image.orientation != 1})


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
        repeated=repeated([_hashed(e) for e in examinations]),
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
    every = [size for size in by_area for _ in range(counts[size])]
    return ImageSizes(
        most_common=most_common,
        most_common_images=images,
        usual=most_common if 2 * images >= len(every) else every[len(every) // 2],
        smallest=by_area[0],
        largest=by_area[-1],
        distinct=len(counts),
        histogram=tuple(counts.most_common(20)),
    )
