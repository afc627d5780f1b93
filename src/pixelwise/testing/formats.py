"""The contract of data formats: one function that says what a format does not do."""

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
"""Training images of the miniature, and images of every other split."""
SIZE = (96, 128)
"""Height and width of its images: small, so that looking at them takes no time."""


def check_format(name: str, folder: Path | None = None) -> None:
    """Check that a data format keeps its contract, on a miniature that it writes.

    The folder is recognised as this format and as none that goes before it; it opens with the classes, the number of
    images and exactly the labels that were written; the audit finds no error; a recipe with what opening found out
    filled in opens it the same way; and an empty folder is not in this format.

    Args:
        name: Name of a registered format.
        folder: An empty folder for the miniature; None: a temporary one.

    Raises:
        AssertionError: What the format does not do, in a sentence.
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
    _require(format.layout(empty) is None, format, "finds a layout in an empty folder; `layout` has to return None")
    _check_recognition(format, root)
    data = Data(dataset=format.name, train_split=miniature_of(format).train_split)
    dataset = open_dataset(data, root)
    _check_content(format, dataset, scenes)
    wrong = [finding.message for finding in audit(dataset).errors]
    _require(not wrong, format, f"writes a miniature with errors: {'; '.join(wrong)}")
    again = open_dataset(settled(data, dataset), root)
    same = (again.classes, again.palette, again.label_table) == (dataset.classes, dataset.palette, dataset.label_table)
    _require(same, format, "opens another way once the recipe names its classes and values")


def _check_recognition(format: Format, root: Path) -> None:
    """Nothing else goes first, and no public data set takes the folder for its own."""
    if format.recognise is None:
        return
    tried = [one.name for one in recognised(root)]
    _require(format.name in tried, format, f"does not recognise its own miniature; {tried} do")
    found = open_dataset(Data(), root).name
    _require(found == format.name, format, f"is opened as '{found}' where no format is named")
    public = [name for name in tried if name != format.name and FORMATS[name].classes is not None]
    _require(not public, format, f"has a miniature that is taken for {', '.join(public)}")


def _check_content(format: Format, dataset: Dataset, scenes: Scenes) -> None:
    """What was written is what is read."""
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
