"""Images on which an artefact is compared with the network in PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.layouts.listing import describe_endings, list_images
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.run_data import is_own_data, open_for, open_run_data
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.options import ArtefactOptions
from pixelwise.deployment.export.sources import Source
from pixelwise.errors import DataError
from pixelwise.evaluation.asking import Asked
from pixelwise.evaluation.mask_values import refuse_undescribed_values
from pixelwise.observer import SILENT, Warn
from pixelwise.prediction.segmenter import same_area
from pixelwise.prediction.sizes import RESIZE, seen_images
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.graphs import GraphOptions
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import place_of

SCENES = 4
SMALLEST_SCENE = 16


class VerificationImages(msgspec.Struct, frozen=True, kw_only=True):
    """Images on which an artefact is compared with the network in PyTorch.

    Attributes:
        read: Returns a new iterator over the images: uint8 (H, W, C) each, at the network's input size.
        source: Description of the images.
        dataset: Data set with the labels; None without labels.
        split: Name of the split of the data set.
        protocol: Evaluation protocol for the split.
        input_size: (height, width) of the network's input if the protocol leaves it open.
    """

    read: Callable[[], Iterable[np.ndarray]]
    source: str
    dataset: Dataset | None = None
    split: str = ""
    protocol: Protocol = PROTOCOLS["native"]
    input_size: Size | None = None


def drawn_scenes(size: Size, *, dynamic: bool, channels: int = 3) -> VerificationImages:
    """Street scenes drawn for verification: of one size, or of several for a dynamic artefact, some of them odd.

    Args:
        size: (height, width) of the artefact's input.
        dynamic: Whether the artefact takes any size.
        channels: Number of channels that the network takes; those of the scenes are repeated.
    """
    height, width = (max(side, SMALLEST_SCENE) for side in size)
    several = (size, (width, height), (height // 2 + 9, width // 2 + 7), (height + 3, width // 2 + 8))
    sizes = several if dynamic else (size,) * SCENES

    def draw() -> Iterable[np.ndarray]:
        for index, wanted in enumerate(sizes):
            drawn = (max(wanted[0], SMALLEST_SCENE), max(wanted[1], SMALLEST_SCENE))
            scene = RESIZE["antialiased"](draw_scene(0, index, drawn)[0], wanted)
            yield np.ascontiguousarray(scene[..., [channel % 3 for channel in range(channels)]])

    return VerificationImages(read=draw, source=f"{len(sizes)} drawn street scenes")


def folder_images(folder: Path, reading: Reading, fixed: Size | None, wanted: Size | None) -> VerificationImages:
    """The images in a folder, without labels.

    Args:
        folder: Folder with images, searched recursively.
        reading: Settings for decoding the files.
        fixed: (height, width) of the window that an artefact of one size sees of each image; None: the whole image.
        wanted: (height, width) whose area the images are resized to, exactly if it is `fixed`; None: their own size.

    Raises:
        DataError: D223, the folder does not exist or contains no image.
    """
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise DataError("D223", f"{printable(folder)}: {state}", "give a folder with images as `images`")
    listing = list_images(folder)
    paths = [entry.path for entry in listing.entries]
    if not paths:
        found = f"; found: {describe_endings(listing.others)}" if listing.others else ""
        raise DataError(
            "D223",
            f"{printable(folder)}: no image in this folder or its subfolders{found}",
            "give a folder with images as `images`",
        )

    def read() -> Iterable[np.ndarray]:
        for path in paths:
            image = read_image(path, reading)
            own = (image.shape[0], image.shape[1])
            size = fixed if fixed is not None and fixed == wanted else same_area(own, wanted)
            yield central_window(RESIZE["antialiased"](image, size), fixed)

    return VerificationImages(read=read, source=f"{len(paths)} images of a folder")


def split_images(dataset: Dataset, split: str, recipe: Recipe, fixed: Size | None) -> VerificationImages:
    """A split with its labels, resized and scored according to the recipe's first protocol.

    Both PyTorch and the artefact are scored as the protocol says, at the size at which it shows the images, and an
    artefact of one size through windows of its own. Their outputs are compared on one such window of each image.
    """
    samples = dataset.samples(split)
    protocol = find_protocol(recipe.evaluation.protocols[0])
    input_size = recipe.evaluation.input_size

    def read() -> Iterable[np.ndarray]:
        for sample in samples:
            image = read_image(sample.image_path, dataset.reading)
            yield central_window(seen_images(image, protocol, input_size)[0], fixed)

    return VerificationImages(
        read=read,
        source=f"{split} of {dataset.name}, {len(samples)} images, protocol {protocol.name}",
        dataset=dataset,
        split=split,
        protocol=protocol,
        input_size=input_size,
    )


def central_window(image: np.ndarray, fixed: Size | None) -> np.ndarray:
    """The window in the middle of an image that an artefact of one size sees, where it is larger with repeated edges.

    Args:
        image: Image uint8 (H, W, C) at the network's input size.
        fixed: (height, width) of the window; None: the whole image.
    """
    if fixed is None or image.shape[:2] == fixed:
        return image
    for axis, side in enumerate(fixed):
        start = max(0, (image.shape[axis] - side) // 2)
        image = image.take(range(start, min(start + side, image.shape[axis])), axis)
    rest = [(0, side - length) for side, length in zip(fixed, image.shape[:2], strict=True)]
    return np.pad(image, [*rest, (0, 0)], mode="edge")


def images_for(
    source: Source, graph: GraphOptions, options: ArtefactOptions, warn: Warn | None = None
) -> VerificationImages:
    """The images that the options choose: a folder of images, else a split of a data set, else drawn scenes.

    Raises:
        DataError: The images cannot be found or read.
    """
    recipe = source.recipe
    fixed = None if graph.dynamic else graph.size
    if options.images is not None:
        return folder_images(Path(options.images), Reading.of(recipe.data), fixed, recipe.evaluation.input_size)
    if options.split is not None or options.data is not None:
        dataset = dataset_of(source, options.data, warn)
        own = is_own_data(source.run, dataset, options.data) if source.run is not None else None
        asked = Asked(split=options.split).scored(dataset, recipe.evaluation.split, own, warn or SILENT.warn)
        if not own:
            refuse_undescribed_values(asked.dataset, asked.split)
        return split_images(asked.dataset, asked.split, recipe, fixed)
    return drawn_scenes(graph.size, dynamic=graph.dynamic, channels=source.model.preprocessing.in_channels)


def dataset_of(source: Source, data: str | os.PathLike[str] | None, warn: Warn | None = None) -> Dataset:
    """The data set in a folder, or by default the run's, without the pairs that the run's training skipped.

    The classes that another folder names are matched by name with those of the network; `warn` receives W410 to W412.

    Raises:
        DataError: D222 and others, the data set cannot be opened.
        CheckpointError: K406 or K408, the classes are others.
    """
    if source.run is not None:
        return open_run_data(source.run, source.recipe, data, warn)
    return open_for(source.recipe, place_of(data) if data is not None else None, warn=warn)
