"""What an audit learns about all pairs of a data set, added up one pair after the other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pixelwise.datasets.auditing.conventions import Conventions
from pixelwise.datasets.auditing.examination import Examination, mask_name, relative_name
from pixelwise.datasets.auditing.mask_conclusions import Disturbances, Swapped
from pixelwise.datasets.auditing.positions import Positions
from pixelwise.datasets.findings import Affected
from pixelwise.datasets.reading.areas import MAX_VALUES
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE


class Facts:
    """What findings need to know about all pairs, added up one pair after the other: it grows little with their number.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.errors: dict[str, Cases] = {}
        self.raw_ids: Counter[int] = Counter()
        self.with_ids, self.palettes, self.see_through, self.void = (Affected() for _ in range(4))
        self.images: dict[str, Affected] = {}
        self.stack: Path | None = None
        self.unusable_labels = False
        self.swapped = Swapped()
        self.conventions, self.disturbances = Conventions(dataset), Disturbances(dataset)
        self.positions = Positions(dataset)
        self._colors: dict[int, tuple[int, int, int]] = {}

    def add(self, examination: Examination) -> None:
        """Add one pair."""
        for path, error in examination.errors:
            self.errors.setdefault(error.code, Cases()).add(examination, path, error, self.dataset.root)
        sample, root = examination.sample, self.dataset.root
        self.raw_ids.update(examination.raw_ids)
        mask_path = sample.mask_path
        if mask_path and examination.raw_ids:
            self.with_ids.add(lambda: relative_name(mask_path, root))
        if any(self._colors.setdefault(raw, color) != color for raw, color in examination.colors.items()):
            self.palettes.add(lambda: mask_name(examination, self.dataset))
        if examination.see_through:
            self.see_through.add(lambda: mask_name(examination, self.dataset))
        pixels, size = examination.pixels, examination.size
        if pixels is not None and int(pixels[IGNORE]) == size[0] * size[1]:
            self.void.add(lambda: mask_name(examination, self.dataset))
        self.unusable_labels |= pixels is None and mask_path is not None
        for code, applies in image_facts(examination, self.dataset):
            if applies:
                self.images.setdefault(code, Affected()).add(lambda: relative_name(sample.image_path, root))
        if self.stack is None and examination.image is not None and examination.image.animated:
            self.stack = sample.image_path
        self.swapped.add(examination)
        self.conventions.add(examination)
        self.disturbances.add(examination)
        self.positions.add(examination)


class Cases:
    """The errors of one code.

    Attributes:
        files: The files.
        first: The error of the first of them.
        unknown_ids: Raw value -> number of pixels of the values without a class.
        raw_ids: Raw value -> number of pixels of all values.
        colors: Colour -> number of pixels of the colours without a class.
        all_colored: Whether each of the masks has such colours.
        more_colors: Whether a mask has more such colours than were kept.
    """

    def __init__(self) -> None:
        self.files = Affected()
        self.first: DataError | None = None
        self.unknown_ids, self.raw_ids, self.colors = (Counter[int]() for _ in range(3))
        self.all_colored, self.more_colors = True, False

    def add(self, examination: Examination, path: Path, error: DataError, root: Path) -> None:
        """Add the error of one pair."""
        self.files.add(lambda: relative_name(path, root))
        self.first = self.first or error
        if error.code == "D202":
            self.unknown_ids.update(examination.unknown_ids)
            self.raw_ids.update(examination.raw_ids)
        if error.code == "D205":
            self.colors.update(examination.unknown_colors)
            self.all_colored &= bool(examination.unknown_colors)
            self.more_colors |= len(examination.unknown_colors) == MAX_VALUES


def image_facts(examination: Examination, dataset: Dataset) -> tuple[tuple[str, bool], ...]:
    """Codes of warnings about single images, and whether they apply."""
    facts = examination.image
    if facts is None:
        return ()
    return (
        ("W102", examination.misnamed),
        ("W106", facts.transparent),
        ("W107", facts.animated),
        ("W141", dataset.reading.input_range is not None and not facts.ranged),
    )
