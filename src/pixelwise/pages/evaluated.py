"""What a result's page is made of: the records of its run, its images and their pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.errors import DataError
from pixelwise.pages.catalog import Catalog, Entry, Refused, stamp_of
from pixelwise.pages.errors import KINDS, Region, counts_of, kinds_of, mask_of, regions_of
from pixelwise.pages.newest import Newest
from pixelwise.pages.pictures import MOST_BYTES, Kept, Shown, kept_of, load_kept, state_of_kept
from pixelwise.records.details import (
    THUMBNAILS,
    ImageDetails,
    load_details,
    load_samples,
    load_thumbnails,
    thumbnail_name,
)
from pixelwise.records.evaluations import SAMPLES
from pixelwise.records.result import Result, load_per_image, load_result
from pixelwise.records.run_folder import is_run
from pixelwise.records.scores import ImageScore
from pixelwise.reports.run.records import Evaluated, RunRecords, read_run
from pixelwise.storage import sha256_bytes
from pixelwise.storage.cache_kinds import ERROR_KINDS
from pixelwise.storage.caches import remembered, subject_of

SHOWN_REGIONS = 6
"""Most regions of an image that are cut out for a cell of the confusion matrix."""
LEAST_SHARE = 0.02
"""Regions that are smaller than this share of the image's largest one are only counted."""
_MARKED_BYTES = 16 << 20


class Opened(NamedTuple):
    """A result and the records of its run.

    Attributes:
        entry: Its place.
        records: The records of the run; None for an exported artefact.
        evaluated: The result; None for a run that has not been scored.
        version: Changes when a file of the result or of the run does, so that browsers keep pictures until then.
    """

    entry: Entry
    records: RunRecords | None
    evaluated: Evaluated | None
    version: str = ""

    @property
    def result(self) -> Result:
        """The result.

        Raises:
            DataError: D240, the run has not been scored.
        """
        if self.evaluated is None:
            raise DataError("D240", f"{self.entry.name}: not scored", "score it with `pixelwise evaluate`")
        return self.evaluated.result


class Section(NamedTuple):
    """Regions of one image.

    Attributes:
        place: Position of the image in the split.
        pixels: Numbers of pixels of the regions that are shown, the largest first.
        smaller: Number of the others.
    """

    place: int
    pixels: list[int]
    smaller: int


class Marked(NamedTuple):
    """Pixels of an image that are meant, bool (H, W), and their connected regions, the largest first."""

    mask: np.ndarray
    regions: list[Region]


class KindOfError(NamedTuple):
    """A kind of error in the images whose pictures are kept.

    Attributes:
        key: Key of the kind in `KINDS`.
        pixels: Number of its pixels.
        share: Share of all wrong pixels, 0..1.
        regions: The largest regions: positions of their images, numbers within the image, pixels.
    """

    key: str
    pixels: int
    share: float
    regions: list[tuple[int, int, int]]


class Gallery:
    """The images of results.

    Args:
        catalog: The folders that may be read.
        predict: Predicts an image of a result, by its id, that the result's folder does not keep.
    """

    def __init__(self, catalog: Catalog, predict: Callable[[Entry, Result, str], Shown]) -> None:
        self._catalog, self._predict = catalog, predict
        self._shown: Newest[Shown] = Newest(MOST_BYTES, lambda shown: shown.bytes)
        self._marked: Newest[Marked] = Newest(_MARKED_BYTES, lambda marked: marked.mask.nbytes)
        self._thumbnails: Newest[dict[str, bytes]] = Newest(4)
        self._kinds: Newest[list[KindOfError]] = Newest(16)

    def kept(self, opened: Opened) -> Kept:
        """What the result's folder keeps."""
        return kept_of(None if opened.evaluated is None else opened.evaluated.samples)

    def keeps(self, opened: Opened, place: int) -> bool:
        """Whether the pictures of an image lie in the result's folder, so that they are shown at once."""
        scores = scores_of(opened)
        return 0 <= place < len(scores) and scores[place].id in self.kept(opened).samples

    def shown(self, opened: Opened, place: int) -> Shown:
        """An image by its position in the split, kept or predicted now.

        Raises:
            Refused: There is no such image, or it cannot be predicted.
        """
        key = opened.entry.id, opened.result.weights_sha256, place
        return self._shown.get(key, lambda: self._made(opened, place))

    def _made(self, opened: Opened, place: int) -> Shown:
        evaluated, folder = opened.evaluated, opened.entry.evaluation
        if evaluated is None or folder is None or not 0 <= place < len(evaluated.per_image):
            raise Refused("The result has no such image.")
        id = evaluated.per_image[place].id
        sample = self.kept(opened).samples.get(id)
        found = None if sample is None else load_kept(self._catalog, folder, sample)
        return found or self._predict(opened.entry, evaluated.result, id)

    def marked(self, opened: Opened, what: str, place: int) -> Marked:
        """The pixels of an image that belong to a cell or a kind of error, and their regions.

        Raises:
            Refused: As `shown`.
        """
        shown = self.shown(opened, place)

        def made() -> Marked:
            mask = mask_of(shown, what)
            return Marked(mask, regions_of(mask))

        # The page of a cell asks for every region by itself.
        return self._marked.get((opened.entry.id, opened.result.weights_sha256, place, what), made)

    def sections(self, opened: Opened, what: str, place: int) -> Section:
        """The regions of an image that belong to a cell or a kind of error.

        Raises:
            Refused: As `shown`.
        """
        regions = self.marked(opened, what, place).regions
        shown = [one.pixels for one in regions[:SHOWN_REGIONS] if one.pixels >= LEAST_SHARE * regions[0].pixels]
        return Section(place, shown, len(regions) - len(shown))

    def kinds(self, opened: Opened) -> list[KindOfError]:
        """The kinds of error in all images whose pictures are kept."""
        key = opened.entry.id, opened.result.weights_sha256
        return self._kinds.get(key, lambda: self._remembered(opened))

    def _remembered(self, opened: Opened) -> list[KindOfError]:
        """The kinds of error, from the cache if the pictures are those of which they were counted."""
        folder, kept = opened.entry.evaluation, self.kept(opened).samples
        if folder is None:
            return self._counted(opened)
        found = [(place, score.id) for place, score in enumerate(scores_of(opened)) if score.id in kept]
        states = [(place, state_of_kept(self._catalog, folder, kept[id])) for place, id in found]
        if any(state is None for _, state in states):  # what is predicted instead depends on more than pictures
            return self._counted(opened)
        key = sha256_bytes(repr(states).encode())[:24]
        subject = subject_of("error-kinds", folder)
        return remembered(ERROR_KINDS, key, list[KindOfError], lambda: self._counted(opened), subject=subject)

    def _counted(self, opened: Opened) -> list[KindOfError]:
        kept = self.kept(opened).samples
        places = [place for place, score in enumerate(scores_of(opened)) if score.id in kept]
        totals = [0] * len(KINDS)
        regions: list[list[tuple[int, int, int]]] = [[] for _ in KINDS]
        for place in places:
            try:
                shown = self.shown(opened, place)
            except Refused:
                continue
            kinds = kinds_of(shown.truth, shown.prediction)
            for number, pixels in enumerate(counts_of(kinds)):
                totals[number] += pixels
                largest = regions_of(kinds == number + 1)[:2]  # of one image, so that others are seen, too
                regions[number] += [(place, index, region.pixels) for index, region in enumerate(largest)]
        wrong = sum(totals)
        return [
            KindOfError(
                key,
                totals[number],
                totals[number] / wrong if wrong else math.nan,
                sorted(regions[number], key=lambda region: -region[2])[:6],
            )
            for number, key in enumerate(KINDS)
        ]

    def thumbnail(self, opened: Opened, place: int) -> bytes | None:
        """A small picture (WebP) of an image; None if there is none."""
        folder = opened.entry.evaluation
        if folder is None or not self._catalog.holds(folder / THUMBNAILS):
            return None
        stamp = (folder / THUMBNAILS).stat().st_mtime_ns if (folder / THUMBNAILS).is_file() else 0
        found = self._thumbnails.get((folder, stamp), lambda: load_thumbnails(folder))
        return found.get(thumbnail_name(place))


def scores_of(opened: Opened) -> tuple[ImageScore, ...]:
    """The scores of the images, in the order of the split."""
    return () if opened.evaluated is None else opened.evaluated.per_image


def open_entry(entry: Entry) -> Opened:
    """Read everything that is known of a result.

    Raises:
        CheckpointError: K423, a file of the run is damaged.
        DataError: D240, a file of the evaluation is damaged.
        RecipeError: The run's recipe is not valid in this version.
    """
    version = sha256_bytes(repr(stamp_of(entry)).encode())[:10]
    if not is_run(entry.run):
        return Opened(entry, None, None if entry.evaluation is None else _of_artefact(entry.evaluation), version)
    records = read_run(entry.run)
    evaluated = next((one for one in records.evaluations if one.folder == entry.evaluation), None)
    return Opened(entry, records, evaluated, version)


def _of_artefact(folder: Path) -> Evaluated:
    return Evaluated(
        folder=folder,
        result=load_result(folder),
        per_image=load_per_image(folder),
        samples=load_samples(folder / SAMPLES),
        details=load_details(folder),
    )


def images_of_cell(opened: Opened, truth: int, prediction: int) -> list[tuple[int, int]]:
    """(position, pixels) of the images with pixels of a cell of the confusion matrix, most pixels first."""
    details: Sequence[ImageDetails] = () if opened.evaluated is None else opened.evaluated.details
    place = {score.id: index for index, score in enumerate(scores_of(opened))}
    found = [
        (place[one.id], cell.pixels)
        for one in details
        for cell in one.confusion
        if (cell.truth, cell.prediction) == (truth, prediction) and one.id in place
    ]
    return sorted(found, key=lambda image: (-image[1], image[0]))
