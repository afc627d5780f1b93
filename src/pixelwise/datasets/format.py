"""Data formats: their definition, and the registry of built-in formats and those of other packages.

A module registers its formats when it is imported, with the same call in `pixelwise.datasets.formats` and elsewhere:

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
from pixelwise.entry_points import Plugin, undo
from pixelwise.errors import DataError, RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.class_sets.tables import BUILT_IN, CLASS_SETS, IGNORE, ClassSet
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.sizes import Size

UNMISTAKABLE = 50
"""Priority of a data set whose folders have names that no other data set uses, such as `leftImg8bit`."""
PUBLIC = 40
"""Priority of a public data set that only its file names distinguish from custom data in the same layout."""
LISTS = 30
"""Priority of lists of files: whoever writes them means exactly those files."""
MASKS = 20
"""Priority of masks that are stored as images."""
ANNOTATIONS = 10
"""Priority of shapes in annotation files. Masks come first: in a folder with both, they were made from the shapes."""


class Box(NamedTuple):
    """A rectangle of one class: columns `left` to `right` and rows `top` to `bottom`, without `right` and `bottom`."""

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
        boxes: The rectangles that make up the labels, on a background of class 0; empty if the labels have other
            shapes.
    """

    image: np.ndarray
    labels: np.ndarray
    boxes: tuple[Box, ...] = ()


class Scenes(msgspec.Struct, frozen=True, kw_only=True):
    """A small data set in memory.

    Attributes:
        classes: Class names; the position is the class id.
        splits: The scenes of every split.
        raw_values: Class id or 255 -> its value in a mask file, uint8 (256,).
    """

    classes: tuple[str, ...]
    splits: dict[str, list[Scene]]
    raw_values: np.ndarray

    def mask(self, scene: Scene) -> np.ndarray:
        """The scene's labels as the raw values of a mask file, uint8 (H, W)."""
        return self.raw_values[scene.labels]


class Miniature(msgspec.Struct, frozen=True, kw_only=True):
    """A writer of small data sets in a format, for tests and for trying a pipeline without the real data.

    Attributes:
        write: Writes the scenes below an existing folder. The files of a split sort in the order of its scenes.
        size: Height and width of the scenes.
        splits: Names of the splits that are written.
        train_split: Name of the split under which the training scenes are opened.
        boxes: Whether the labels are rectangles on a background, which outlines can represent exactly.
    """

    write: Callable[[Path, Scenes], None]
    size: Size = (96, 128)
    splits: tuple[str, ...] = ("train", "val")
    train_split: str = "train"
    boxes: bool = False


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One way to store a data set on disk.

    Attributes:
        name: Name of the format, as in `data.dataset`.
        title: A few words for lists of formats, such as `LabelMe`.
        expected: The files and folders of this format; follows "looked for" in the error if they are missing.
        layout: Lists the images and masks below a folder; None if the folder holds no data in this format.
        recognise: Whether `data.dataset=auto` should try this format on a folder: a quick check, of names if possible;
            `layout` has the final say. None: the format has to be named.
        priority: Decides between formats that recognise the same folder: the highest is tried first.
        classes: The classes, if the data set always has the same ones; None: its files, its masks or `dataset.toml`
            define them.
        drawn: Whether `layout` draws or unpacks masks into the cache folder, which takes long for large data sets.
        generate: Generates the data if no folder is given, and returns its folder; None: a folder is needed.
        class_layout: Like `layout`, for one mask per class (`data.multilabel`); None: the format has no such masks.
        last_resort: Like `layout`, tried if no format recognises the folder or a folder below it.
        publications: Sources of a public data set; the first one provides what the format needs.
        miniature: Writer of small data sets in this format; None: the format cannot be tried without data.
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
        """The command that prepares the public data set in a folder; None for custom data."""
        return self.publications[0].command(folder) if self.publications else None


class OtherFormatError(DataError):
    """Raised by `Format.layout` for files that are named as in this format but belong to another one.

    With `data.dataset=auto`, the next format is tried; if this format was named, the user sees the error.
    """


FORMATS: Registry[Format] = Registry("data format", RecipeError, "R203", built_in=("pixelwise.datasets.formats",))
"""Data formats by name: the values of `data.dataset` besides `auto`."""


def register(format: Format) -> Format:
    """Add a data format.

    If it always has the same classes, recipes that name the format get them.

    Raises:
        RecipeError: R234, another format has this name.
    """
    FORMATS.add(format.name, format)
    if format.classes is not None and format.name not in BUILT_IN:
        CLASS_SETS[format.name] = format.classes
    return format


def _forget_failed(plugin: Plugin) -> None:
    """Forget the classes of formats whose module could not be imported, after the formats themselves."""
    for name in set(CLASS_SETS) - BUILT_IN - set(FORMATS):
        del CLASS_SETS[name]


undo.append(_forget_failed)


def needs_folder(name: str) -> bool:
    """Whether `data.dataset` names data that is read from a folder, not generated."""
    format = FORMATS.look_up(name) if name != "auto" else None
    return format is None or format.generate is None


def format_of(name: str) -> Format:
    """The format that `data.dataset` names.

    Raises:
        RecipeError: R203, there is no such format; the message suggests the nearest name.
    """
    return FORMATS.find(name, "data.dataset: ")


def raw_values(classes: ClassSet | None, num_classes: int) -> np.ndarray:
    """Class id or 255 -> its value in the masks of a data set, uint8 (256,).

    Args:
        classes: The classes of a known data set; None: masks hold class ids.
        num_classes: Number of classes to write.
    """
    values = np.arange(256, dtype=np.uint8)
    if classes is None:
        return values
    # Of several values with the same meaning, the first: the last may never occur in a file.
    raw_of = {class_id: raw for raw, class_id in reversed(classes.label_table.items())}
    for class_id in (*range(num_classes), IGNORE):
        values[class_id] = raw_of.get(class_id, raw_of[0])
    return values
