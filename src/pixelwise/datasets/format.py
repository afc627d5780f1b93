"""Data formats: what one consists of, and the registry of all that are known, ours and those of other packages.

A module registers a format when it is imported, ours (`pixelwise.datasets.formats`) and a stranger's by the same call:

    register(Format(name="npz", title="NumPy archives of image and label", expected="...", layout=npz_layout, ...))
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.publication import Publication
from pixelwise.errors import DataError, RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.classes.tables import CLASS_SETS, IGNORE, ClassSet
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.sizes import Size

UNMISTAKABLE = 50
"""Priority of a data set whose folders have names that no other has, such as `leftImg8bit`."""
PUBLIC = 40
"""Priority of a public data set that is told from own data in the same layout by the names of its files."""
LISTS = 30
"""Priority of lists of files: who writes them means exactly those files."""
MASKS = 20
"""Priority of masks that are images."""
ANNOTATIONS = 10
"""Priority of outlines in text files. Masks go first: whoever has both made the masks from the outlines."""


class Box(NamedTuple):
    """A rectangle of one class: the pixels from column `left` to `right` and row `top` to `bottom`, both exclusive."""

    class_id: int
    left: int
    top: int
    right: int
    bottom: int


class Scene(NamedTuple):
    """An image with its labels, in memory.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        labels: uint8 (H, W) class ids, 255 = ignored.
        boxes: The rectangles that the labels consist of, on a background of class 0; empty where they consist of
            anything else.
    """

    image: np.ndarray
    labels: np.ndarray
    boxes: tuple[Box, ...] = ()


class Scenes(msgspec.Struct, frozen=True, kw_only=True):
    """A small data set in memory.

    Attributes:
        classes: Class names; the position is the class id.
        splits: The scenes of every split.
        raw_values: Class id or 255 -> the value that stands for it in a mask file, uint8 (256,).
    """

    classes: tuple[str, ...]
    splits: dict[str, list[Scene]]
    raw_values: np.ndarray

    def mask(self, scene: Scene) -> np.ndarray:
        """The scene's labels as the raw values of a mask file, uint8 (H, W)."""
        return self.raw_values[scene.labels]


class Miniature(msgspec.Struct, frozen=True, kw_only=True):
    """How a small data set is written in a format, for tests and for trying a pipeline without the real data.

    Attributes:
        write: Writes the scenes below a folder, which exists. Files of a split sort in the order of its scenes.
        size: Height and width of the scenes.
        splits: Names of the splits that are written.
        train_split: The split that the training scenes are opened as.
        boxes: Whether the labels are rectangles on a background, as outlines can say them exactly.
    """

    write: Callable[[Path, Scenes], None]
    size: Size = (96, 128)
    splits: tuple[str, ...] = ("train", "val")
    train_split: str = "train"
    boxes: bool = False


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a data set lies on disk.

    Attributes:
        name: What `data.dataset` calls it.
        title: A few words for lists of formats, such as `LabelMe`.
        expected: The files and folders that are looked for; follows "looked for" in the error where they are missing.
        layout: Lists the images and masks below a folder; None if the folder holds none of this format.
        recognise: Whether `data.dataset=auto` should try this format on a folder: a quick look, at names if possible;
            `layout` has the last word. None: the format has to be named.
        priority: Decides between formats that recognise the same folder: the highest is tried first.
        classes: The classes where the data set always has the same ones; None: its files, its masks or
            `dataset.toml` say them.
        drawn: Whether `layout` draws or unpacks masks into the cache folder, which takes long for large data sets.
        generate: Makes the data where no folder is given, and returns its folder; None: a folder is needed.
        class_layout: Like `layout`, for one mask per class (`data.multilabel`); None: the format has no such masks.
        last_resort: Like `layout`, tried where nothing is recognised in a folder nor in the folders below it.
        publications: Sources of a public data set; the first one brings what the format needs.
        miniature: How to write a small data set in this format; None: nobody can try it without data.
    """

    name: str
    title: str
    expected: str
    layout: Callable[[Path], Layout | None]
    recognise: Callable[[Path], bool] | None = None
    priority: int = ANNOTATIONS
    classes: ClassSet | None = None
    drawn: bool = False
    generate: Callable[[Data], Path] | None = None
    class_layout: Callable[[Path], Layout | None] | None = None
    last_resort: Callable[[Path], Layout | None] | None = None
    publications: tuple[Publication, ...] = ()
    miniature: Miniature | None = None

    def prepare_command(self, folder: Path) -> str | None:
        """The command that brings the public data set into a folder; None for own data."""
        return self.publications[0].command(folder) if self.publications else None


class OtherFormatError(DataError):
    """Raised by `Format.layout` for files that are named like this format's but are another one's.

    With `data.dataset=auto` the next format is tried; who named this one sees the error.
    """


FORMATS: Registry[Format] = Registry("data format", RecipeError, "R203", built_in=("pixelwise.datasets.formats",))
"""Data formats by name: what `data.dataset` can say besides `auto`."""


def register(format: Format) -> Format:
    """Add a data format.

    Its classes, if it always has the same ones, become those of recipes that name it.

    Raises:
        RecipeError: R234, another format has this name.
    """
    FORMATS.add(format.name, format)
    if format.classes is not None:
        CLASS_SETS.setdefault(format.name, format.classes)
    return format


def format_of(name: str) -> Format:
    """The format that `data.dataset` names.

    Raises:
        RecipeError: R203, there is none of that name; names the nearest.
    """
    return FORMATS.find(name, "data.dataset: ")


def raw_values(classes: ClassSet | None, num_classes: int) -> np.ndarray:
    """Class id or 255 -> the value that stands for it in the masks of a data set, uint8 (256,).

    Args:
        classes: The classes of a known data set; None: masks hold class ids.
        num_classes: Number of classes that are written.
    """
    values = np.arange(256, dtype=np.uint8)
    if classes is None:
        return values
    # The first value of several that mean the same: the last one may never be in a file.
    raw_of = {class_id: raw for raw, class_id in reversed(classes.label_table.items())}
    for class_id in (*range(num_classes), IGNORE):
        values[class_id] = raw_of.get(class_id, raw_of[0])
    return values
