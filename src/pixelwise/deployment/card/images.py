"""Images on which a deploy card compares the variants of a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.run_data import Warn, is_own_data, knows_its_data, open_run_data
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.export.images import folder_images
from pixelwise.errors import DataError
from pixelwise.evaluation.asking import Asked
from pixelwise.observer import SILENT
from pixelwise.prediction.sizes import seen_images
from pixelwise.recipes.default_sizes import seen_size
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.environment import read_environment
from pixelwise.storage import printable


class ComparisonImages(msgspec.Struct, frozen=True, kw_only=True):
    """Images on which the variants of a network are compared.

    Attributes:
        read: Returns a new iterator over the images: uint8 (H, W, C) each, at the network's input size.
        source: Description of the images.
        count: Number of images.
        fixed: (height, width) of all images; None: the protocol's size, or each image's own.
        latency_size: (height, width) at which latency is measured.
        dataset: Data set with the labels; None without labels.
        folder: Folder of the data set; None for the synthetic town, or without a data set.
        split: Name of the split; empty without labels.
        protocol: Evaluation protocol.
        input_size: (height, width) of the network's input if the protocol leaves it open.
        batch_size: Number of images per forward pass in evaluation.
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


def comparison_images(run: Path, recipe: Recipe, options: DeployOptions, warn: Warn | None = None) -> ComparisonImages:
    """The images that the options choose: a folder of images without labels, or a split of a data set.

    Args:
        run: The run folder.
        recipe: The recipe of the run.
        options: Choice of the images and their size.
        warn: Receives a warning (W410 to W412) if the classes of other data had to be matched.

    Raises:
        DataError: The images cannot be found or opened.
        RecipeError: R204, the recipe's protocol is unknown.
    """
    if options.images is not None:
        return images_of_folder(Path(options.images), recipe, options.size, dynamic=options.dynamic)
    return images_of_split(run, recipe, options, warn)


def images_of_folder(folder: Path, recipe: Recipe, size: Size | None, *, dynamic: bool) -> ComparisonImages:
    """The images in a folder, without labels.

    Args:
        folder: Folder with images, searched recursively.
        recipe: The recipe of the run.
        size: (height, width) that all images are resized to; None: the recipe's input size.
        dynamic: Whether images keep their sizes, or are resized to the area that the recipe asks for, each with its
            own aspect ratio; `size` is then used for latency alone.

    Raises:
        DataError: D223, the folder contains no image.
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


def images_of_split(run: Path, recipe: Recipe, options: DeployOptions, warn: Warn | None = None) -> ComparisonImages:
    """A split with its labels.

    Without a `size` the network's inputs are exactly those of the recipe's first protocol. If they all have one size,
    artefacts of this fixed size are compared, otherwise dynamic ones. With a `size` all images are resized to it and
    scored by the same protocol if that leaves the size open, otherwise by `native`. With `dynamic` artefacts are
    always dynamic, and `size` is used for latency alone.

    Args:
        run: The run folder.
        recipe: The recipe of the run.
        options: Choice of the data, the split and the size.
        warn: As for `comparison_images`.

    Raises:
        DataError: The data cannot be opened.
        RecipeError: R204, the recipe's protocol is unknown.
    """
    size = options.size
    if options.data is None and not knows_its_data(run, recipe):
        raise DataError(
            "D222", f"{printable(run)} does not record where its data is", "give the data set folder as `data`"
        )
    folder = Path(options.data) if options.data is not None else read_environment(run).data_folder
    dataset = open_run_data(run, recipe, options.data, warn)
    own = is_own_data(run, dataset, options.data)
    asked = Asked(split=options.split).scored(dataset, recipe.evaluation.split, own, warn or SILENT.warn)
    dataset, split = asked["dataset"], asked["split"]
    samples = dataset.samples(split)
    protocol = find_protocol(recipe.evaluation.protocols[0])
    shown = _one_size(dataset, split, protocol, recipe.evaluation.input_size)
    fixed = None if options.dynamic else size or shown
    if fixed is not None and not _shows(protocol, fixed):
        # The protocol cannot use this size: a size from the user takes precedence over the protocol.
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
    """Whether a protocol feeds each image whole, once and at that size, if asked to."""
    return protocol.one_look and protocol.pad_to is None and protocol.seen_size(size) == size


def _one_size(dataset: Dataset, split: str, protocol: Protocol, wanted: Size | None) -> Size | None:
    """The network's input size if it is the same for every image of a split, otherwise None."""
    if (seen := protocol.seen_size(wanted)) is not None:
        return seen
    if protocol.fit is not None:
        return None
    sizes = set()
    for sample in dataset.samples(split):
        try:
            sizes.add(image_sizes(sample.image_path)[1])
        except DataError:  # a stack of bands has no such header; damaged files are reported when they are read
            return None
        if len(sizes) > 1:
            return None
    return next(iter(sizes), None)
