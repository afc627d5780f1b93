"""A data set as a list of files: which images, which masks, and what the masks' values mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.labels import LabelTable
from pixelwise.errors import DataError
from pixelwise.recipes.classes.tables import Color
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import printable


class Sample(msgspec.Struct, frozen=True):
    """One image and its mask, or its masks.

    Attributes:
        id: Unique in its split and printable; may contain `/`.
        image_path: Path of the image file.
        mask_path: Path of the mask file; None for an image without labels. For multi-label data the first mask.
        class_masks: For multi-label data one mask per class; None where the image does not hold the class.
        ignore_mask: For multi-label data the mask of the pixels that count nowhere.
    """

    id: str
    image_path: Path
    mask_path: Path | None
    class_masks: tuple[Path | None, ...] = ()
    ignore_mask: Path | None = None

    @property
    def mask_files(self) -> tuple[Path, ...]:
        """All files that the labels are read from."""
        if not self.class_masks:
            return () if self.mask_path is None else (self.mask_path,)
        return tuple(path for path in (*self.class_masks, self.ignore_mask) if path is not None)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How files become arrays; the fields mean what they mean in `pixelwise.recipes.schema.recipe.Data`."""

    exif: Literal["apply", "ignore"] = "apply"
    alpha: Literal["drop", "black"] = "drop"
    input_range: tuple[float, float] | None = None
    max_pixels: int = 100_000_000
    mask_resize: Literal["refuse", "nearest"] = "refuse"
    channels: tuple[int, ...] | None = None

    @classmethod
    def of(cls, data: Data) -> Reading:
        """The reading options of a recipe's data part."""
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
        name: What `data.dataset` calls it; never `auto`.
        root: The folder everything lies in.
        classes: Class names; the position is the class id.
        palette: One RGB colour (0..255) per class.
        label_table: What raw values and colours of the masks mean.
        multilabel: Whether a pixel may belong to several classes: labels are then int32 bit fields, bit k is class
            k, and `IGNORE_BIT` alone marks ignored pixels.
        label_names: Raw value -> name of the label, of masks that were drawn from annotations.
        splits: Samples by split (`train`, `val`, `test`), sorted by id.
        other_splits: Splits that were not opened because they share images with one that was -> their pairs;
            `data.train_split` chooses.
        reading: How files become arrays.
        layout: The folder layout that was recognised, in words.
        problems: What was noticed while files were listed and paired; the audit repeats them.
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

    def without(self, ids: Mapping[str, Collection[str]]) -> Dataset:
        """The data set without some samples, named by split and id."""
        splits = {
            split: tuple(sample for sample in samples if sample.id not in ids.get(split, ()))
            for split, samples in self.splits.items()
        }
        return msgspec.structs.replace(self, splits=splits)

    def samples(self, split: str) -> tuple[Sample, ...]:
        """The samples of `split`.

        Raises:
            DataError: D221, there is no such split or it is empty; names those that exist. D226, a part of
                the data set that the split needs is missing.
        """
        found = self.splits.get(split, ())
        if not found:
            for problem in self.problems:
                # Of several splits that are trained on as one, each may lack something.
                if problem.code == "D226" and problem.split in split.split("+"):
                    raise DataError(problem.code, problem.message, problem.fix)
            state = "is empty" if split in self.splits else "does not exist"
            existing = ", ".join(f"{name} ({len(samples)})" for name, samples in self.splits.items() if samples)
            raise DataError(
                "D221",
                f"{printable(self.root)}: split '{split}' {state}; splits with labelled images: {existing or 'none'}",
                "`pixelwise check` lists every image that found no mask; name another split in the recipe "
                "(data.train_split, selection.split, evaluation.split), or add files",
            )
        return found
