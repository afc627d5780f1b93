"""The audit of a whole data set before anything trains on it.

Every image and mask is decoded once. Each problem becomes a finding that names the affected files and the fix. No
problem stops the audit, and nothing is written into the data set's folder.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from pixelwise.datasets.auditing.conclusions import collect_findings
from pixelwise.datasets.auditing.correspondence import SHOWN, MaskFit, mask_fits
from pixelwise.datasets.auditing.examination import NO_GRIDS, Examination, relative_name
from pixelwise.datasets.auditing.examining import examinations
from pixelwise.datasets.auditing.facts import Facts
from pixelwise.datasets.auditing.near_duplicates import (
    KEPT_TWINS,
    NO_SIGNATURE,
    Looks,
    NearDuplicate,
    repeated,
    twins_across,
)
from pixelwise.datasets.auditing.places import Places, places_of
from pixelwise.datasets.auditing.shared_images import Twins
from pixelwise.datasets.auditing.sums import SplitSums, WholeSums
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.fingerprint import HashCache, Identified, stat_signature
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.machine.memory import return_freed_memory
from pixelwise.observer import SILENT, Observer
from pixelwise.storage import printable, remembered
from pixelwise.storage.cache_kinds import AUDIT
from pixelwise.storage.caches import subject_of
from pixelwise.storage.names import counted
from pixelwise.views import classes_in_words, html_table, line


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

    def _repr_html_(self) -> str:
        pairs = ", ".join(f"{number} {split}" for split, number in self.splits.items())
        rows = [(one.code, one.message, one.fix) for one in self.findings] or [("", "nothing", "")]
        title = f"{self.dataset}: {pairs}; {classes_in_words(self.classes)}"
        return html_table(("code", "found", "fix"), rows, title=title, prose=True)

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
    ahead: Callable[[Dataset], Sequence[Path]] | None = None,
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
        ahead: Called first if the result is not cached: examines all pairs into the cache folder, by other processes,
            and returns the files that `fresh` is about. What it leaves out is examined here.
    """
    names = [name for name in dataset.splits if splits is None or name in splits]
    return remembered(
        AUDIT,
        _cache_key(dataset, names),
        Audit,
        lambda: _audit(dataset, names, observer if progress is None else _ProgressCallback(progress), fresh, ahead),
        subject=subject_of(dataset.root.absolute(), dataset.name, dataset.reading, names),
        fresh=fresh,
    )


def _audit(
    dataset: Dataset,
    names: Sequence[str],
    observer: Observer,
    fresh: bool,
    ahead: Callable[[Dataset], Sequence[Path]] | None,
) -> Audit:
    observer.phase("looking at the data")
    changed = [] if ahead is None else ahead(dataset)
    hashes = HashCache(dataset.root)
    sums = {name: SplitSums(dataset, len(dataset.splits[name])) for name in names}
    facts, whole = Facts(dataset), WholeSums()
    with closing(examinations(dataset, names, hashes, observer=observer, fresh=fresh and ahead is None)) as found:
        for examination in found:
            sums[examination.split].add(examination)
            facts.add(examination)
            whole.add(examination)
    return_freed_memory()  # what is compared from here on would otherwise be added to it
    twins = _twins(dataset, {name: one.looks for name, one in sums.items()})
    places, elsewhere = places_of(dataset, whole.tiffs)
    fits = mask_fits(whole.grids)
    changed = [*changed, *hashes.changed]
    return Audit(
        dataset=dataset.name,
        layout=dataset.layout,
        classes=dataset.classes,
        multilabel=dataset.multilabel,
        splits={name: len(dataset.splits[name]) for name in names},
        statistics={name: _statistics(one, dataset.splits[name]) for name, one in sums.items()},
        sizes=_sizes(whole.sizes),
        mask_encodings=dict(whole.encodings.most_common()),
        unusable={name: tuple(one.unusable) for name, one in sums.items()},
        findings=collect_findings(facts, sums, lambda: _every(dataset, names, hashes), changed, twins, fits)
        + tuple(elsewhere),
        places=places,
        least_fitting=tuple(fits[:SHOWN]),
        turned=len(whole.turned) if dataset.reading.exif == "apply" else 0,
        near_duplicates=tuple(
            NearDuplicate(
                splits=splits,
                ids=(one.id, other.id),
                files=(relative_name(one.image_path, dataset.root), relative_name(other.image_path, dataset.root)),
                distance=distance,
            )
            for splits, pairs_of_splits in twins.items()
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


def _every(dataset: Dataset, names: Sequence[str], hashes: HashCache) -> list[Examination]:
    """The examinations of all pairs once more, without what only single images need."""
    found = []
    for examination in examinations(dataset, names, hashes):
        examination.pixels, examination.look, examination.grids = None, NO_SIGNATURE, NO_GRIDS
        found.append(examination)
    return found


def _twins(dataset: Dataset, looks: Mapping[str, Looks]) -> Twins:
    """Near-duplicates across splits, for every two splits that have any: the nearest first."""
    twins = {}
    for one, other in itertools.combinations(looks, 2):
        first, second = dataset.splits[one], dataset.splits[other]
        found = [
            (first[row], second[twin], bits) for row, twin, bits in twins_across(looks[one], looks[other]).tolist()
        ]
        if found:
            twins[one, other] = sorted(found, key=lambda pair: (pair[2], pair[1].id))
    return twins


def _cache_key(dataset: Dataset, splits: Sequence[str]) -> str:
    described = msgspec.to_builtins(
        (AUDIT.version, msgspec.structs.replace(dataset, splits={}), splits), enc_hook=printable
    )
    # Names of classes may hold bytes that are not UTF-8, which JSON writes as escapes.
    digest = hashlib.sha256(json.dumps(described).encode())
    for name, samples in dataset.splits.items():
        digest.update(f"{name}\0{len(samples)}\0".encode())
        if isinstance(samples, Identified):
            digest.update(samples.identity().encode())
            continue
        for one in samples:
            digest.update(_identity(one))
    listed = [samples for name in splits if not isinstance(samples := dataset.splits[name], Identified)]
    paths = (path for samples in listed for one in samples for path in (one.image_path, *one.mask_files))
    digest.update(stat_signature(paths).encode())
    return digest.hexdigest()[:24]


def _identity(sample: Sample) -> bytes:
    paths = (sample.image_path, sample.mask_path, *sample.class_masks, sample.ignore_mask)
    names = ("" if path is None else os.fspath(path) for path in paths)
    return "\0".join([sample.id, *names, ""]).encode("utf-8", "surrogateescape")


def _statistics(sums: SplitSums, samples: Sequence[Sample]) -> SplitStatistics:
    mean, std = sums.normalisation()
    return SplitStatistics(
        images=sums.images,
        pixels=sums.pixels,
        void_pixels=sums.void_pixels,
        labelled_pixels=sums.area - sums.void_pixels,
        images_with_class=tuple(sums.images_with_class.tolist()),
        pixels_of_images_with_class=tuple(sums.area_with_class.tolist()),
        mean=mean,
        std=std,
        repeated=repeated(sums.looks, samples),
    )


def _sizes(counts: Counter[tuple[int, int]]) -> ImageSizes:
    if not counts:
        return ImageSizes()
    most_common, images = counts.most_common(1)[0]
    by_area = sorted(counts, key=lambda size: (size[0] * size[1], size))
    readable = sum(counts.values())
    up_to = itertools.accumulate(counts[size] for size in by_area)
    middle = next(size for size, number in zip(by_area, up_to, strict=True) if number > readable // 2)
    return ImageSizes(
        most_common=most_common,
        most_common_images=images,
        usual=most_common if 2 * images >= readable else middle,
        smallest=by_area[0],
        largest=by_area[-1],
        distinct=len(counts),
        histogram=tuple(counts.most_common(20)),
    )
