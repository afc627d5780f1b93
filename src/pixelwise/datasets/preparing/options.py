"""Options of the functions that write data sets, and of the verbs below `pixelwise data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.options import Options


class PrepareOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.prepare`.

    Attributes:
        download: Download archives that are missing in the folder. Read the terms of use first.
    """

    download: bool = False


class SplitOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.split`.

    Attributes:
        val: Share of the images that becomes the validation split. Without it, a fifth, but at least five images (or a
            third of fewer than 15).
        test: Share of the images that becomes the test split.
        group: Regular expression that is searched in the names of images: images with the same match stay in one split.
            The folder of a split is no part of a name. Without it, numbered series stay together if there are enough of
            them.
        seed: Seed of the division; another one divides the images in another way.
        output: Folder to write the lists to. Without it, they go to the data set's own folder.
        force: Replace existing lists.
    """

    val: Annotated[float | None, Meta(ge=0, le=1)] = None
    test: Annotated[float, Meta(ge=0, le=1)] = 0.0
    group: str | None = None
    seed: Annotated[int, Meta(ge=0)] = 0
    output: Path | None = None
    force: bool = False


class ShardOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.shard`.

    Attributes:
        size: Size of a tar, such as `1GB` or `500MB`; one with a single larger image is larger.
    """

    size: Annotated[str, Meta(extra={"metavar": "SIZE"})] = "1GB"


class ConvertOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.convert`.

    Attributes:
        to: Output format. `folder` is images/ and masks/ with class ids, and a `dataset.toml` that names the classes.
        size: Height and width to resize to: images bilinearly, masks by nearest neighbour. Without it, sizes are kept.
    """

    to: Literal["folder"] = "folder"
    size: tuple[int, int] | None = None
