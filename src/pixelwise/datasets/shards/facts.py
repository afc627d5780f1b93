"""What an index says about its data set as a whole, and the names of its columns."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.recipes.class_sets.tables import Color

INDEX = "index.parquet"
"""Name of the index in the data set's folder."""
UNFINISHED = "unfinished.json"
"""Name of the file that lies at an address for as long as shards are written there."""
FACTS_KEY = b"pixelwise.shards"
"""Key of the facts in the metadata of the Parquet file."""
VERSION = 1
"""Version of the format; an index of a later one is refused."""
IGNORED = "ignored"
"""What the column of ignored pixels is called in place of a class id."""


class Shard(msgspec.Struct, frozen=True, array_like=True):
    """A tar: its file name, and its size in bytes."""

    name: str
    size: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an index says about its data set as a whole; the fields that a `Layout` has too have its meaning.

    Attributes:
        format: Name of the data's own format, as in `data.dataset`: it says what the values of the masks mean.
        masks: Stem of the columns of each mask: `mask`, or one per class and one for the ignored pixels.
        number_of_classes: Number of columns that count pixels of a class.
        shards: The tars, in the order that the column `shard` counts them.
        divided: Whether the data had no splits of its own, so that it was divided by name.
        divisions: Training split -> its splits -> value of the column `split` for them.
        container: What the images and masks lie in: `tar`, or the tables `parquet` and `arrow`, whose positions count
            rows.
        exact: Whether the columns of SHA-256 are those of the contents. In tars and tables of other programs they are
            hashes of a file's place and of the version of what it lies in.
        columns: The columns of images and of each mask in tables; empty for tars.
        problems: What was found when the samples were matched.
        dataset_toml: Content of the data set's `dataset.toml`; None if it has none.
        version: Version of the format.
    """

    format: str
    description: str
    masks: tuple[str, ...]
    number_of_classes: int
    shards: tuple[Shard, ...]
    divided: bool = False
    overlapping: tuple[str, ...] = ()
    divisions: dict[str, dict[str, str]] = {}
    classes: tuple[str, ...] | None = None
    palette: tuple[Color, ...] | None = None
    label_map: dict[int, int] | None = None
    colors: dict[str, int] | None = None
    label_names: dict[int, str] = {}
    multilabel: bool = False
    lists_classes: bool = True
    container: str = "tar"
    exact: bool = True
    columns: tuple[str, ...] = ()
    problems: tuple[Finding, ...] = ()
    dataset_toml: str | None = None
    version: int = VERSION


class FileColumns(NamedTuple):
    """The columns that say where the file of a role lies.

    Attributes:
        name: Name of the member of the tar; empty if there is no such file.
        offset: Position of its first byte in the tar; -1 if there is no such file.
        size: Number of its bytes.
        sha256: SHA-256 of its content, 32 bytes.
    """

    name: str
    offset: str
    size: str
    sha256: str


def file_columns(role: str) -> FileColumns:
    """The columns of a role: `image`, or one of `Facts.masks`."""
    return FileColumns(role, f"{role}_offset", f"{role}_size", f"{role}_sha256")


def mask_roles(multilabel_classes: int | None) -> tuple[str, ...]:
    """The stems of the columns of masks: one, or for multi-label data one per class and one for ignored pixels."""
    if multilabel_classes is None:
        return ("mask",)
    return (*(f"mask_{number}" for number in range(multilabel_classes)), f"mask_{IGNORED}")


def pixel_columns(number_of_classes: int) -> tuple[str, ...]:
    """The columns that count the pixels of each class, and the ignored ones."""
    return (*(f"pixels_{number}" for number in range(number_of_classes)), f"pixels_{IGNORED}")
