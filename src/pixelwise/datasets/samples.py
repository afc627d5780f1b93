"""Data sets as lists of files: images, masks, and the meaning of the masks' values."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.labels import LabelTable
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import printable
from pixelwise.views import classes_in_words, line

ALL = "all"
"""Name of the split that joins all others; see `Dataset.with_all`."""
WITHOUT_MASKS = "images without masks"
"""Name of the split of training images that only a teacher can say something of; only a training opens it."""


class Sample(msgspec.Struct, frozen=True):
    """One image and its mask, or its masks.

    Attributes:
        id: Id, unique within its split and printable; may contain `/`.
        image_path: Path of the image file.
        mask_path: Path of the mask file; None for an image without labels. The first mask of multi-label data.
        class_masks: One mask per class of multi-label data; None for a class that the image does not contain.
        ignore_mask: Mask of the ignored pixels of multi-label data.
    """

    id: str
    image_path: Path
    mask_path: Path | None
    class_masks: tuple[Path | None, ...] = ()
    ignore_mask: Path | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether anything says what the image shows."""
        return self.mask_path is not None or bool(self.class_masks)

    @property
    def mask_files(self) -> tuple[Path, ...]:
        """All files that the labels are read from."""
        if not self.class_masks:
            return () if self.mask_path is None else (self.mask_path,)
        return tuple(path for path in (*self.class_masks, self.ignore_mask) if path is not None)


@runtime_checkable
class Unmade(Protocol):
    """Samples that are made when they are asked for, because a million of them would take too much memory."""

    def ids(self) -> Iterator[str]:
        """Their ids; no sample is made."""
        ...

    def chosen(self, places: Sequence[int]) -> tuple[Sample, ...]:
        """The samples of some places, which are not made either."""
        ...


def ids_of(samples: Sequence[Sample]) -> Iterator[str]:
    """The ids of samples."""
    return samples.ids() if isinstance(samples, Unmade) else (sample.id for sample in samples)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Options for reading files; the fields are those of `pixelwise.recipes.schema.recipe.Data`."""

    exif: Literal["apply", "ignore"] = "apply"
    alpha: Literal["drop", "black"] = "drop"
    input_range: tuple[float, float] | None = None
    max_pixels: int = 100_000_000
    mask_resize: Literal["refuse", "nearest"] = "refuse"
    channels: tuple[int, ...] | None = None

    @classmethod
    def of(cls, data: Data) -> Reading:
        """The reading options of a recipe's data section."""
        return cls(
            exif=data.exif,
            alpha=data.alpha,
            input_range=data.input_range,
            max_pixels=data.max_pixels,
            mask_resize=data.mask_resize,
            channels=data.channels,
        )


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """An opened data set. Opening lists files and reads no image.

    Attributes:
        name: Name of the format, as in `data.dataset`; never `auto`.
        root: Folder of the data set.
        classes: Class names; the position is the class id.
        palette: One RGB colour (0..255) per class.
        label_table: Meaning of the raw values and colours of the masks.
        multilabel: Whether a pixel may belong to several classes: labels are then int32 bit fields, bit k is class
            k, and `IGNORE_BIT` alone marks ignored pixels.
        label_names: Raw value -> label, for masks drawn from annotations.
        splits: Samples by split (`train`, `val`, `test`), sorted by id.
        other_splits: Number of pairs of the splits that were not opened because they share images with an opened one;
            `data.train_split` chooses between them.
        named: Whether class names were given, by the data or by the recipe; False if they were inferred from masks.
        naming: Hash of what the data itself says about its classes and their values; empty if it says nothing.
        divided: Whether the data has no splits of its own, so that it was divided into `train` and `val` by name.
        remarks: Warnings (W410 to W415) about the agreement of the classes and splits with those that were asked for.
        reading: Options for reading the files.
        layout: The folder layout that was recognised, in words.
        problems: Findings from listing and pairing the files; the audit repeats them.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    label_table: LabelTable
    splits: dict[str, tuple[Sample, ...]]
    reading: Reading
    layout: str = ""
    problems: tuple[Finding, ...] = ()
    label_names: dict[int, str] = {}
    multilabel: bool = False
    other_splits: dict[str, int] = {}
    named: bool = True
    naming: str = ""
    divided: bool = False
    remarks: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        pairs = ", ".join(f"{len(samples)} {split}" for split, samples in self.splits.items())
        return line("Dataset", f"{printable(self.root)} ({self.name})", pairs, classes_in_words(self.classes))

    def without(self, ids: Mapping[str, Collection[str]]) -> Dataset:
        """The data set without some samples, given by split and id."""
        splits = {
            split: _without(samples, ids[split]) if ids.get(split) else samples
            for split, samples in self.splits.items()
        }
        return msgspec.structs.replace(self, splits=splits)

    def with_all(self) -> Dataset:
        """The data set with one more split, `all`: every image of all splits once, unless a split has that name."""
        if ALL in self.splits or not self.splits:
            return self
        several = [(split, sample) for split, samples in self.splits.items() for sample in samples]
        unique = {sample.image_path: (split, sample) for split, sample in reversed(several)}
        counted = Counter(sample.id for _, sample in unique.values())
        joined = [
            # Ids are unique within a split only.
            msgspec.structs.replace(sample, id=f"{split}/{sample.id}") if counted[sample.id] > 1 else sample
            for split, sample in unique.values()
        ]
        found = tuple(sorted(joined, key=lambda sample: sample.id))
        return msgspec.structs.replace(self, splits={**self.splits, ALL: found})

    def samples(self, split: str) -> tuple[Sample, ...]:
        """The samples of `split`.

        Raises:
            DataError: D221, the split does not exist or is empty; the message names those that exist. D226, a part of
                the data set that the split needs is missing.
        """
        found = self.splits.get(split, ())
        if not found:
            for problem in self.problems:
                # Each of several joined splits may lack a part.
                if problem.code == "D226" and problem.split in split.split("+"):
                    raise DataError(problem.code, problem.message, problem.fix)
            state = "is empty" if split in self.splits else "does not exist"
            existing = ", ".join(f"{name} ({len(samples)})" for name, samples in self.splits.items() if samples)
            raise DataError(
                "D221",
                f"{printable(self.root)}: split '{split}' {state}; splits with labelled images: {existing or 'none'}",
                "name another split: `split` where there is such an option, else data.train_split, selection.split or "
                "evaluation.split in the recipe; `pixelwise check` lists every image without a mask",
            )
        return found


def _without(samples: tuple[Sample, ...], ids: Collection[str]) -> tuple[Sample, ...]:
    if isinstance(samples, Unmade):
        return samples.chosen(array("q", (place for place, id in enumerate(samples.ids()) if id not in ids)))
    return tuple(one for one in samples if one.id not in ids)
