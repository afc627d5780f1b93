"""Contract check for data formats."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.format import FORMATS, Format, Scenes, format_of
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.recognition import recognised
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.recipes.schema.data import Data
from pixelwise.testing.miniatures import miniature_of, miniature_scenes

IMAGES = (3, 2)
"""Number of training images of the miniature, and of images of every other split."""
SIZE = (96, 128)
"""(height, width) of its images: small, so that reading them is fast."""


def check_format(name: str, folder: Path | None = None) -> None:
    """Check that a data format fulfils its contract, on a miniature that it writes.

    The folder is recognised as this format, and no format tried before it claims the folder; it opens with the classes,
    the number of images and exactly the labels that were written; the audit finds no error; it opens in the same way
    with a recipe that states the classes and values found on opening; and an empty folder is not in this format.

    Args:
        name: Name of a registered format.
        folder: Empty folder for the miniature; None: a temporary folder.

    Raises:
        AssertionError: The format breaks the contract; the message says where.
        RecipeError: R203, no format has this name, or it has no miniature.
    """
    format = format_of(name)
    if folder is None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            _check(format, Path(scratch))
    else:
        _check(format, folder)


def _check(format: Format, folder: Path) -> None:
    root, empty = folder / "data", folder / "empty"
    for path in (root, empty):
        path.mkdir(parents=True)
    scenes = miniature_scenes(format, IMAGES, SIZE)
    miniature_of(format).write(root, scenes)
    _require(format.layout(empty) is None, format, "finds a layout in an empty folder; `layout` must return None")
    _check_recognition(format, root)
    data = Data(dataset=format.name, train_split=miniature_of(format).train_split)
    dataset = open_dataset(data, root)
    _check_content(format, dataset, scenes)
    wrong = [finding.message for finding in audit(dataset).errors]
    _require(not wrong, format, f"writes a miniature with errors: {'; '.join(wrong)}")
    again = open_dataset(settled(data, dataset), root)
    same = (again.classes, again.palette, again.label_table) == (dataset.classes, dataset.palette, dataset.label_table)
    _require(same, format, "opens differently once the recipe states its classes and values")


def _check_recognition(format: Format, root: Path) -> None:
    """Check that no other format is tried first and that no public data set claims the folder."""
    if format.recognise is None:
        return
    tried = [one.name for one in recognised(root)]
    others = ", ".join(tried) or "none"
    _require(format.name in tried, format, f"does not recognise its own miniature; formats that do: {others}")
    found = open_dataset(Data(), root).name
    _require(found == format.name, format, f"has a miniature that opens as '{found}' if no format is named")
    public = [name for name in tried if name != format.name and FORMATS[name].classes is not None]
    _require(not public, format, f"has a miniature that is also recognised as {', '.join(public)}")


def _check_content(format: Format, dataset: Dataset, scenes: Scenes) -> None:
    """Check that classes, images and labels are read as they were written."""
    _require(dataset.name == format.name, format, f"opens as '{dataset.name}'")
    found, expected = dataset.classes, scenes.classes
    _require(found == expected, format, f"opens with the classes {', '.join(found)}; expected {', '.join(expected)}")
    for split, members in scenes.splits.items():
        name = miniature_of(format).train_split if split == "train" else split
        samples = dataset.splits.get(name, ())
        pairs = f"opens with {len(samples)} pairs in {name}; expected {len(members)}"
        _require(len(samples) == len(members), format, pairs)
        for sample, scene in zip(samples, members, strict=True):
            try:
                image, labels = read_pair(sample, dataset)
            except DataError as error:
                raise AssertionError(f"the data format '{format.name}' cannot be read: {error.message}") from error
            _require(image.shape == scene.image.shape, format, f"reads {sample.id} as an image of {image.shape}")
            wrong = int(np.count_nonzero(labels != scene.labels)) if labels.shape == scene.labels.shape else labels.size
            _require(not wrong, format, f"reads {wrong} pixels of the labels of {name}/{sample.id} as other classes")


def _require(condition: bool, format: Format, otherwise: str) -> None:
    if not condition:
        raise AssertionError(f"the data format '{format.name}' {otherwise}")
