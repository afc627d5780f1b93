"""The images on which all forms of a network are compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.run_data import knows_its_data, open_run_data
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.export.images import folder_images
from pixelwise.errors import DataError
from pixelwise.prediction.sizes import seen_images
from pixelwise.recipes.default_sizes import seen_size
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.environment import read_environment
from pixelwise.storage import printable


class ComparisonImages(msgspec.Struct, frozen=True, kw_only=True):
    """The images on which all forms of a network are compared.

    Attributes:
        read: Reads them anew: uint8 (H, W, C) each, as the network sees them.
        source: Which images they are, in words.
        count: Number of images.
        fixed: (height, width) that all are brought to; None: the protocol's or their own.
        latency_size: (height, width) that latency is measured at.
        dataset: The data set with their labels; None where there are no labels.
        folder: Folder of the data set; None: the synthetic town, or no data set.
        split: Name of the split; empty: no labels.
        protocol: How predictions are scored.
        input_size: (height, width) that the network sees where the protocol leaves it open.
        batch_size: Images per forward pass of an evaluation.
    """

    read: Callable[[], Iterable[np.ndarray]]
    source: str
    count: int
    fixed: Size | None
    latency_size: Size
    dataset: Dataset | None = None
    folder: str | None = None
    split: str = ""
    protocol: Protocol = PROTOCOLS["native"]
    input_size: Size | None = None
    batch_size: int = 1


def comparison_images(run: Path, recipe: Recipe, options: DeployOptions) -> ComparisonImages:
    """The images that were asked for: those of a folder without labels, or those of a split.

    Args:
        run: The run folder.
        recipe: The recipe of the run.
        options: Name the images and their size.

    Raises:
        DataError: The images cannot be found or opened.
        RecipeError: R204, the recipe's protocol is unknown.
    """
    if options.images is not None:
        return images_of_folder(Path(options.images), recipe, options.size, dynamic=options.dynamic)
    return images_of_split(run, recipe, options)


def images_of_folder(folder: Path, recipe: Recipe, size: Size | None, *, dynamic: bool) -> ComparisonImages:
    """The images in a folder, without labels.

    Args:
        folder: Searched with its subfolders.
        recipe: The recipe of the run.
        size: (height, width) that all are resized to; None: the recipe's.
        dynamic: They keep their sizes, or the area that the recipe asks for; `size` is that of latency alone.

    Raises:
        DataError: D223, there is no image.
    """
    wanted = size or seen_size(recipe)
    fixed = None if dynamic else wanted
    found = folder_images(folder, Reading.of(recipe.data), fixed, recipe.evaluation.input_size)
    return ComparisonImages(
        read=found.read,
        source=found.source,
        count=len(list_images(folder).entries),
        fixed=fixed,
        latency_size=wanted,
    )


def images_of_split(run: Path, recipe: Recipe, options: DeployOptions) -> ComparisonImages:
    """A split with its labels.

    Without a `size` the network sees exactly what the recipe's first protocol shows it. Where that is one size for
    all images, artefacts of that one size are compared, otherwise artefacts of any size. With a `size` it sees all
    images at that size, scored by the same protocol if that leaves the size open, otherwise by `native`. `dynamic`
    artefacts have no one size, even where there is one; the `size` is then that of latency alone.

    Args:
        run: The run folder.
        recipe: The recipe of the run.
        options: Name the data, the split and the size.

    Raises:
        DataError: The data cannot be opened.
        RecipeError: R204, the recipe's protocol is unknown.
    """
    size, split = options.size, options.split or recipe.evaluation.split
    if options.data is None and not knows_its_data(run, recipe):
        raise DataError("D222", f"{printable(run)} does not know its data", "name the folder with `data`")
    folder = Path(options.data) if options.data is not None else read_environment(run).data_folder
    dataset = open_run_data(run, recipe, options.data)
    samples = dataset.samples(split)
    protocol = find_protocol(recipe.evaluation.protocols[0])
    shown = _one_size(dataset, split, protocol, recipe.evaluation.input_size)
    fixed = None if options.dynamic else size or shown
    if fixed is not None and not _shows(protocol, fixed):
        # Where the caller insists on a size, only another protocol can show it.
        fixed, protocol = (fixed, PROTOCOLS["native"]) if size is not None else (None, protocol)
    seen = fixed or recipe.evaluation.input_size

    def read() -> Iterable[np.ndarray]:
        for sample in samples:
            yield seen_images(read_image(sample.image_path, dataset.reading), protocol, seen)[0]

    return ComparisonImages(
        read=read,
        source=f"{split} of {dataset.name}",
        count=len(samples),
        fixed=fixed,
        latency_size=fixed or size or shown or seen_size(recipe),
        dataset=dataset,
        folder=os.fspath(folder) if folder is not None else None,
        split=split,
        protocol=protocol,
        input_size=seen,
        batch_size=recipe.evaluation.batch_size,
    )


def _shows(protocol: Protocol, size: Size) -> bool:
    """Whether the network sees a whole image at that size, once, when it is asked for."""
    return protocol.one_look and protocol.pad_to is None and protocol.seen_size(size) == size


def _one_size(dataset: Dataset, split: str, protocol: Protocol, wanted: Size | None) -> Size | None:
    """The size at which the network sees every image of a split; None: there are several."""
    if (seen := protocol.seen_size(wanted)) is not None:
        return seen
    if protocol.fit is not None:
        return None
    sizes = set()
    for sample in dataset.samples(split):
        try:
            sizes.add(image_sizes(sample.image_path)[1])
        except DataError:  # a stack of bands has no such header; what is damaged is reported when it is read
            return None
        if len(sizes) > 1:
            return None
    return next(iter(sizes), None)
