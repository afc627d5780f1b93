"""Images on which a deploy card compares the variants of a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.run_data import is_own_data, knows_its_data, open_run_data
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.export.images import folder_images
from pixelwise.deployment.export.shapes import one_size
from pixelwise.errors import DataError
from pixelwise.evaluation.asking import Asked
from pixelwise.evaluation.mask_values import refuse_undescribed_values
from pixelwise.observer import SILENT, Warn
from pixelwise.prediction.sizes import seen_images
from pixelwise.recipes.default_sizes import seen_size
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.environment import read_environment
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import place_of


class ComparisonImages(msgspec.Struct, frozen=True, kw_only=True):
    """Images on which the variants of a network are compared.

    Attributes:
        read: Returns a new iterator over the images: uint8 (H, W, C) each, at the network's input size.
        source: Description of the images.
        count: Number of images.
        fixed: (height, width) that the artefacts take; None: any.
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
    """The images in a folder, without labels, at the size at which the run sees them.

    Args:
        folder: Folder with images, searched recursively.
        recipe: The recipe of the run.
        size: (height, width) that the artefacts take; None: that to which the recipe brings every image, or any.
        dynamic: Whether artefacts take any size even so; `size` is then used for latency alone.

    Raises:
        DataError: D223, the folder contains no image.
    """
    protocol, wanted = find_protocol(recipe.evaluation.protocols[0]), recipe.evaluation.input_size
    shown = protocol.seen_size(wanted)
    fixed = None if dynamic else size or (shown if shown is not None and _shows(protocol, shown) else None)
    found = folder_images(folder, Reading.of(recipe.data), fixed if fixed == shown else None, shown)
    return ComparisonImages(
        read=found.read,
        source=found.source,
        count=len(list_images(folder).entries),
        fixed=fixed,
        latency_size=fixed or size or shown or seen_size(recipe),
    )


def images_of_split(run: Path, recipe: Recipe, options: DeployOptions, warn: Warn | None = None) -> ComparisonImages:
    """A split with its labels, seen and scored as the recipe's first protocol says.

    Without a `size`, artefacts of one size are compared if the protocol shows all images at that size, otherwise
    dynamic ones. With a `size`, artefacts take that size and see images of other sizes through windows of it; PyTorch
    sees them as ever, so that the loss is the one that users of the artefact will have. With `dynamic` artefacts are
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
    folder = place_of(options.data) if options.data is not None else read_environment(run).data_folder
    dataset = open_run_data(run, recipe, options.data, warn)
    own = is_own_data(run, dataset, options.data)
    dataset, split, _ = Asked(split=options.split).scored(dataset, recipe.evaluation.split, own, warn or SILENT.warn)
    if not own:
        refuse_undescribed_values(dataset, split)
    samples = dataset.samples(split)
    protocol, wanted = find_protocol(recipe.evaluation.protocols[0]), recipe.evaluation.input_size
    shown = one_size(dataset, split, protocol, wanted)
    fixed = None if options.dynamic else size or (shown if shown is not None and _shows(protocol, shown) else None)

    def read() -> Iterable[np.ndarray]:
        for sample in samples:
            yield seen_images(read_image(sample.image_path, dataset.reading), protocol, wanted)[0]

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
        input_size=wanted,
        batch_size=recipe.evaluation.batch_size,
    )


def _shows(protocol: Protocol, size: Size) -> bool:
    """Whether a protocol feeds each image whole, once and at that size, if asked to."""
    return protocol.one_look and protocol.pad_to is None and protocol.seen_size(size) == size
