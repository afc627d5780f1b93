"""A data format: slices of medical volumes as NumPy archives, one file per image with its labels.

    train/case0005_slice000.npz   val/case0008_slice012.npz      arrays `image` (H, W) or (H, W, 3) and `label` (H, W)

Floating-point images are in 0..1, others in 0..255. Labels are class ids, 255 is ignored; `dataset.toml` names the
classes. Pixelwise trains on image files, so the arrays are converted once to PNG files in the cache folder.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.cached_files import cached_files
from pixelwise.datasets.layouts.description import write_description
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import list_files
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.samples import Sample

NAME = "npz-slices"
LOOKED_AT = 5
"""Largest number of files that are opened to find out whether they are slices."""


def slices_layout(root: Path) -> Layout | None:
    """Layout of the slices below `root`; None if there are none."""
    files = list_files(root, ".npz")
    if not any(is_slice(file) for file in files[:LOOKED_AT]):
        return None
    folder = cached_files(NAME, root, files, lambda unfinished: write_pictures(root, files, unfinished))
    samples: dict[str, list[Sample]] = {}
    broken = []
    for file in files:
        inside = file.relative_to(root).with_suffix(".png")
        sample = Sample(inside.with_suffix("").as_posix(), folder / "images" / inside, folder / "masks" / inside)
        if sample.image_path.is_file():
            samples.setdefault(split_of(inside.parts[:-1]) or "train", []).append(sample)
        else:
            broken.append(file)
    splits = {split: tuple(found) for split, found in samples.items()}
    return Layout(
        name=NAME,
        description="NumPy archives of image and label, written as PNG files into the cache folder",
        root=root,
        splits=divided(splits["train"]) if list(splits) == ["train"] else in_order(splits),
        problems=problems(broken),
    )


def is_slice(file: Path) -> bool:
    """Whether an archive contains an image and its labels; only its list of arrays is read."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {"image", "label"} <= set(arrays.files)
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def write_pictures(root: Path, files: list[Path], folder: Path) -> None:
    """Write `images/` and `masks/` from the archives that can be read."""
    for file in files:
        inside = file.relative_to(root).with_suffix(".png")
        try:
            with np.load(file, allow_pickle=False) as arrays:
                image, label = arrays["image"], arrays["label"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            continue  # `slices_layout` reports archives without PNG files
        if image.dtype.kind == "f":
            image = np.clip(255 * image, 0, 255).round()
        write_image(folder / "images" / inside, image.astype(np.uint8))
        write_image(folder / "masks" / inside, label.astype(np.uint8))


def problems(broken: list[Path]) -> tuple[Finding, ...]:
    """Finding D230 for archives that cannot be read."""
    if not broken:
        return ()
    names = [str(file) for file in broken]
    message = f"{len(names)} NumPy archives cannot be used, e.g. {names[0]}; expected the arrays `image` and `label`"
    return (finding("D230", message, names, "write them again, or train without them: 'data.allow=[\"D230\"]'"),)


def write_slices(root: Path, scenes: Scenes) -> None:
    """Write a miniature data set, for tests."""
    for split, members in scenes.splits.items():
        (root / split).mkdir()
        for number, scene in enumerate(members):
            np.savez_compressed(root / split / f"{number:04d}.npz", image=scene.image, label=scenes.mask(scene))
    write_description(root, scenes.classes)


register(
    Format(
        name=NAME,
        title="NumPy archives of image and label",
        expected="*.npz with the arrays `image` and `label`, in train/ and val/ or in one folder",
        layout=slices_layout,
        recognise=lambda root: any(is_slice(file) for file in list_files(root, ".npz")[:LOOKED_AT]),
        drawn=True,
        miniature=Miniature(write=write_slices),
    )
)
