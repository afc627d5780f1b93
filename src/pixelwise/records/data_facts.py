"""`data.json`: the data that a run was trained on, and what its audit found."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.recipes.sizes import Size
from pixelwise.records.json_files import read_json
from pixelwise.storage import json_text, write_text

DATA = "data.json"


class SplitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over the usable pairs of one split; class ids index the tuples.

    Attributes:
        images: Number of usable pairs.
        pixels: Labelled pixels of each class.
        void_pixels: Number of ignored pixels.
        images_with_class: Number of images that hold each class.
        pixels_of_images_with_class: All pixels of those images, ignored ones included.
        mean: Mean of each channel over all pixels, 0..1.
        std: Standard deviation of each channel.
        repeated: Number of images that show nothing new after those before them, as frames of a video do.
        labelled_pixels: Number of labelled pixels.
    """

    images: int
    pixels: tuple[int, ...] = ()
    void_pixels: int = 0
    images_with_class: tuple[int, ...] = ()
    pixels_of_images_with_class: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    repeated: int = 0
    labelled_pixels: int = 0


class FindingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of the audit that did not stop the run.

    Attributes:
        code: Code that docs/errors.md explains.
        severity: `error`, which `data.allow` accepted, or `warning`.
        message: What was found against what was expected.
        files: The first files that have it.
        total: Number of files that have it.
        fix: What to do about it.
        split: The only split that has it; empty: it is not known of one split alone.
    """

    code: str
    severity: str = "warning"
    message: str = ""
    files: tuple[str, ...] = ()
    total: int = 0
    fix: str = ""
    split: str = ""


class DataFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a run. Every field has a default, since older versions wrote fewer of them.

    Attributes:
        dataset: Name of its format or of the known data set; empty: not recorded.
        splits: The splits that the run uses, the one it trains on first.
        images: Number of pairs in each of them.
        fingerprint: SHA-256 over the names and contents of their files.
        class_weights: Weight of each class in the loss; None: all are equal.
        classes: Class names in the order of class ids.
        unusable: Ids by split of the pairs that are left out, because `data.allow` accepts their errors.
        largest_image: (height, width) of the largest image.
        statistics: Counts of each split.
        findings: What the audit found; None: not recorded.
    """

    dataset: str = ""
    splits: tuple[str, ...] = ()
    images: dict[str, int] = {}
    fingerprint: str = ""
    class_weights: tuple[float, ...] | None = None
    classes: tuple[str, ...] = ()
    unusable: dict[str, tuple[str, ...]] = {}
    largest_image: Size = (0, 0)
    statistics: dict[str, SplitFacts] = {}
    findings: tuple[FindingFacts, ...] | None = None


def read_data_facts(run: Path) -> DataFacts:
    """What is recorded of a run's data; the defaults where nothing is, as of imported weights.

    Raises:
        CheckpointError: K423, the file is damaged.
    """
    return read_json(run / DATA, DataFacts)


def write_data_facts(run: Path, facts: DataFacts) -> None:
    """Write `data.json`.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(run / DATA, json_text(facts))
