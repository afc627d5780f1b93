"""Images and masks in folders of any depth, told apart by words in their paths: the layout that is tried last.

Train/Urban/images_png/1.png   Train/Urban/masks_png/1.png      (LoveDA)
images/cat_1.jpg               annotations/trimaps/cat_1.png    (Oxford pets)
data/1.jpg                     data/masks/1.png
"""

from __future__ import annotations

from pathlib import Path

from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, list_images
from pixelwise.datasets.layouts.matching import is_mask_name, match_files
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import Kind, kind_of, split_of
from pixelwise.datasets.samples import Sample


def scattered_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if at most half of its images have a mask, or a match is ambiguous (D130).

    A file is a mask if its own name or that of a folder above it says so. It is matched to the image with the same path
    once folders that only name their content are dropped, or else to the only image with the same file name.
    """
    listing = list_images(root)
    images = [entry for entry in listing.entries if not _is_mask(entry)]
    masks = [entry for entry in listing.entries if _is_mask(entry)]
    if not images or not masks:
        return None
    samples, problems = match_files(
        "all", [_placed(entry) for entry in images], [_placed(entry) for entry in masks], masks=root
    )
    if 2 * len(samples) <= len(images):
        samples, problems = match_files(
            "all", [_named(entry) for entry in images], [_named(entry) for entry in masks], masks=root
        )
    doubtful = any(problem.code == "D130" for problem in problems)
    if doubtful or 2 * len(samples) <= len(images):
        return None
    return Layout(
        name="folder",
        description="images and masks of the same names, told apart by words in their paths",
        root=root,
        splits=_splits(samples, root),
        problems=(*listing.problems, *problems),
    )


def _is_mask(entry: Entry) -> bool:
    return is_mask_name(entry.path.stem) or any(kind_of(part) is Kind.MASKS for part in entry.key.split("/")[:-1])


def _placed(entry: Entry) -> Entry:
    """The file under its path without the folders that only name their content."""
    *folders, name = entry.key.split("/")
    return Entry("/".join([*(folder for folder in folders if kind_of(folder) is None), name]), entry.path)


def _named(entry: Entry) -> Entry:
    return Entry(entry.key.rpartition("/")[2], entry.path)


def _splits(samples: tuple[Sample, ...], root: Path) -> dict[str, tuple[Sample, ...]]:
    """Splits named by the folders above all images, else train and val by division."""
    named = [split_of(sample.image_path.relative_to(root).parts[:-1]) for sample in samples]
    splits = {split for split in named if split is not None}
    if len(splits) > 1 and None not in named:
        return in_order(
            {split: tuple(s for s, own in zip(samples, named, strict=True) if own == split) for split in splits}
        )
    return divided(samples)
