"""`data.json`: the data that a run was trained on, and the findings of its audit."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.lengths import steps_per_epoch, total_steps
from pixelwise.recipes.schema.recipe import Recipe
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
        images_with_class: Number of images that contain each class.
        pixels_of_images_with_class: All pixels of those images, ignored ones included.
        mean: Mean of each channel over all pixels, 0..1.
        std: Standard deviation of each channel over all pixels, on the scale of `mean`.
        repeated: Number of images that show nothing new compared with earlier ones, as in frames of a video.
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
        severity: `error` (accepted by `data.allow`) or `warning`.
        message: The problem, with the value found and the value expected.
        files: The first affected files.
        total: Number of affected files.
        fix: A way to solve the problem.
        split: The affected split; empty if the finding does not concern a single known split.
    """

    code: str
    severity: str = "warning"
    message: str = ""
    files: tuple[str, ...] = ()
    total: int = 0
    fix: str = ""
    split: str = ""


class DataFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a run. Every field has a default, because older versions wrote fewer fields.

    Attributes:
        dataset: Name of the data format or of the known data set; empty if not recorded.
        splits: The splits that the run uses, the training split first.
        images: Number of image-mask pairs in each split.
        fingerprint: SHA-256 of the names and contents of the splits' files.
        naming: Hash of what the data itself said about its classes and their values; empty if it said nothing; None if
            not recorded.
        class_weights: Weight of each class in the loss; None if all are equal.
        classes: Class names in the order of class ids.
        unusable: Per split, ids of the pairs that are skipped because `data.allow` accepts their errors.
        largest_image: (height, width) of the largest image.
        usual_image: (height, width) of most images, or else of the one of median area; (0, 0) if not recorded.
        drawn: Number of crops that an epoch of the training draws; None if it shows every image once.
        statistics: Counts of each split.
        findings: Findings of the audit; None if not recorded.
        unlabelled: Number of training images without a mask, of which the network learns what its teachers say; they
            are in none of the splits.
        unlabelled_fingerprint: SHA-256 of their names and contents; empty without any.
    """

    dataset: str = ""
    splits: tuple[str, ...] = ()
    images: dict[str, int] = {}
    fingerprint: str = ""
    naming: str | None = None
    class_weights: tuple[float, ...] | None = None
    classes: tuple[str, ...] = ()
    unusable: dict[str, tuple[str, ...]] = {}
    largest_image: Size = (0, 0)
    usual_image: Size = (0, 0)
    drawn: int | None = None
    statistics: dict[str, SplitFacts] = {}
    findings: tuple[FindingFacts, ...] | None = None
    unlabelled: int = 0
    unlabelled_fingerprint: str = ""

    def usable(self, split: str) -> int:
        """Number of image-mask pairs of a split that the run uses; 0 if not recorded."""
        return self.images.get(split, 0) - len(self.unusable.get(split, ()))

    def drawn_each_epoch(self, split: str) -> int:
        """Number of images, or of crops of large ones, that an epoch of a training on `split` draws; 0 if unknown."""
        return self.drawn or self.usable(split) + self.unlabelled

    def planned_steps(self, recipe: Recipe) -> int | None:
        """Number of steps of a whole training by `recipe` on this data; None if its images are not recorded."""
        if recipe.schedule.iterations is not None:
            return recipe.schedule.iterations
        images = self.drawn_each_epoch(recipe.data.train_split)
        try:
            return total_steps(recipe.schedule, steps_per_epoch(images, recipe.sampling)) if images > 0 else None
        except RecipeError:
            return None


def read_data_facts(run: Path) -> DataFacts:
    """The recorded facts about a run's data; the defaults if there is no record, as for imported weights.

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
