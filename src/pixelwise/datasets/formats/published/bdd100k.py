"""BDD100K (Yu et al., CVPR 2020) in the layout of its archives: semantic segmentation, and drivable areas.

    images/10k/{train,val,test}/a.jpg       labels/sem_seg/masks/{train,val}/a.png       Cityscapes's 19 train ids
    images/100k/{train,val,test}/a.jpg      labels/drivable/masks/{train,val}/a.png      direct, alternative, background
    seg/images/{train,val,test}/a.jpg       seg/labels/{train,val}/a_train_id.png        the archive of 2018

`colormaps`, `polygons` and `rles` beside the masks say the same in other ways, and are not read.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.format import UNMISTAKABLE, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, Listing, list_images
from pixelwise.datasets.layouts.matching import match_files
from pixelwise.datasets.layouts.words import split_folders
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.tables import BDD100K, BDD100K_DRIVABLE

_TRAIN_ID = "_train_id"
_SEMANTIC = (("images/10k", "labels/sem_seg/masks"), ("seg/images", "seg/labels"))
_DRIVABLE = (("images/100k", "labels/drivable/masks"),)
_Places = tuple[tuple[str, str], ...]


def _layout(root: Path, name: str, places: _Places) -> Layout | None:
    found = _place(root, places)
    if found is None:
        return None
    of_images, of_masks = found
    mask_folders = split_folders(root / of_masks)
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for split, folder in split_folders(root / of_images).items():
        images = list_images(folder)
        masks = list_images(mask_folders[split]) if split in mask_folders else Listing([], [])
        entries = [Entry(entry.key.removesuffix(_TRAIN_ID), entry.path) for entry in masks.entries]
        splits[split], more = match_files(split, images.entries, entries, masks=root / of_masks / folder.name)
        problems += [*images.problems, *masks.problems, *more]
    return Layout(
        name=name,
        description=f"BDD100K: {of_images}/{{split}}/ with {of_masks}/{{split}}/",
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
    )


def _place(root: Path, places: _Places) -> tuple[str, str] | None:
    """The first folders of images and masks that exist."""
    return next((pair for pair in places if all((root / folder).is_dir() for folder in pair)), None)


def _write(root: Path, scenes: Scenes, places: _Places) -> None:
    of_images, of_masks = places[0]
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            write_image(root / of_images / split / f"{number:08x}-7dde45da.jpg", scene.image)
            write_image(root / of_masks / split / f"{number:08x}-7dde45da.png", scenes.mask(scene))


register(
    Format(
        name="bdd100k",
        title="BDD100K semantic segmentation",
        expected="images/10k/{split}/ with labels/sem_seg/masks/{split}/, or seg/images/ with seg/labels/",
        layout=partial(_layout, name="bdd100k", places=_SEMANTIC),
        recognise=lambda root: _place(root, _SEMANTIC) is not None,
        priority=UNMISTAKABLE,
        classes=BDD100K,
        miniature=Miniature(write=partial(_write, places=_SEMANTIC)),
    )
)
register(
    Format(
        name="bdd100k-drivable",
        title="BDD100K drivable areas",
        expected="images/100k/{split}/ with labels/drivable/masks/{split}/",
        layout=partial(_layout, name="bdd100k-drivable", places=_DRIVABLE),
        recognise=lambda root: _place(root, _DRIVABLE) is not None,
        # Below semantic segmentation, which a full download contains too; name this format to have the areas.
        priority=UNMISTAKABLE - 1,
        classes=BDD100K_DRIVABLE,
        miniature=Miniature(write=partial(_write, places=_DRIVABLE)),
    )
)
