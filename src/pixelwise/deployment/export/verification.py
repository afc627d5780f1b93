"""The same images through PyTorch and through the artefact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.graphs import ExportedNetwork
from pixelwise.errors import DataError
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.models import SegmentationModel, normalize
from pixelwise.prediction.network import prediction_mode
from pixelwise.prediction.segmenter import same_area
from pixelwise.prediction.sizes import RESIZE, seen_images
from pixelwise.recipes.protocols import PROTOCOLS, Protocol, Size
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.runtimes.artefact import ArtefactModel
from pixelwise.runtimes.sidecar import Verification
from pixelwise.storage import printable

LEAST_EQUAL = 0.9999
"""Share of pixels on which an artefact in float32 must agree with PyTorch: rounding decides ties, nothing else."""
LEAST_EQUAL_SIMULATED = 0.97
"""The same for a network that was trained in simulated 8 bits, compared with that simulation: a runtime that fuses
convolutions rounds at other places."""
LEAST_EQUAL_QUANTIZED = 0.95
"""The same for a network that was quantized after training, compared with itself in float32: what int8 costs counts."""
SCENES = 4
SMALLEST_SCENE = 16


class Difference(NamedTuple):
    """What comparing outputs found.

    Attributes:
        images: How many were compared.
        max_difference: Of any logit; None for class ids; infinite where one of the two is not a number.
        logit_range: Largest minus smallest logit of PyTorch; None for class ids.
        equal_pixels: Share of pixels with the same class.
    """

    images: int
    max_difference: float | None
    logit_range: float | None
    equal_pixels: float


def compare(network: ExportedNetwork, artefact: ArtefactModel, images: Iterable[np.ndarray]) -> Difference:
    """Run images through both and compare the outputs.

    Args:
        network: What was exported, in PyTorch.
        artefact: What came of it.
        images: uint8 (H, W, 3) RGB, of the artefact's size where that is fixed.

    Raises:
        CheckpointError: K463, the artefact fails on one of them, or gives something of another shape.
    """
    count = equal = pixels = 0
    largest, lowest, highest = 0.0, np.inf, -np.inf
    labels_only = network.options.argmax
    for image in images:
        inputs = network_input(network, image)
        with prediction_mode(network):
            expected = network(inputs).numpy()
        found = artefact.run(inputs.numpy())
        if found.shape != expected.shape:
            raise artefact.failure(
                f"gives {found.shape} for an input of {tuple(inputs.shape)}, PyTorch {expected.shape}"
            )
        if labels_only:
            same = found == expected
        else:
            difference = np.abs(found - expected).max()
            largest = max(largest, float(difference) if np.isfinite(difference) else np.inf)
            lowest, highest = min(lowest, float(expected.min())), max(highest, float(expected.max()))
            same = found.argmax(1) == expected.argmax(1)
            if network.model.multilabel:
                same = ((found > 0) == (expected > 0)).all(1)
        count, equal, pixels = count + 1, equal + int(same.sum()), pixels + same.size
    share = equal / pixels if pixels else 0.0
    if labels_only:
        return Difference(count, None, None, share)
    return Difference(count, largest, highest - lowest, share if np.isfinite(largest) else 0.0)


def network_input(network: ExportedNetwork, image: np.ndarray) -> Tensor:
    """What goes into a network, and into its artefact, for a uint8 (H, W, C) image: a batch of one."""
    inputs = torch.from_numpy(np.array(image))[None]  # a copy: decoded images may be read-only
    return inputs if network.options.uint8_input else normalize(inputs, network.model.preprocessing)


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What an artefact is verified on.

    Attributes:
        images: Makes them anew, uint8 (H, W, 3) each, at the size the network sees.
        source: Which they are, in words.
        dataset: With labels; None: there are none.
        split: Of the data set.
        protocol: How both are scored on it.
        input_size: The size the network sees where the protocol leaves it open.
    """

    images: Callable[[], Iterable[np.ndarray]]
    source: str
    dataset: Dataset | None = None
    split: str = ""
    protocol: Protocol = PROTOCOLS["native"]
    input_size: Size | None = None


def drawn_scenes(size: Size, *, dynamic: bool) -> Material:
    """Street scenes drawn for the purpose: at one size, or where any size goes, at several that no stride divides."""
    height, width = (max(side, SMALLEST_SCENE) for side in size)
    several = (size, (width, height), (height // 2 + 9, width // 2 + 7), (height + 3, width // 2 + 8))
    sizes = several if dynamic else (size,) * SCENES

    def draw() -> Iterable[np.ndarray]:
        for index, wanted in enumerate(sizes):
            drawn = (max(wanted[0], SMALLEST_SCENE), max(wanted[1], SMALLEST_SCENE))
            yield RESIZE["antialiased"](draw_scene(0, index, drawn)[0], wanted)

    return Material(images=draw, source=f"{len(sizes)} drawn street scenes")


def folder_images(folder: Path, reading: Reading, fixed: Size | None, wanted: Size | None) -> Material:
    """The images in a folder, without labels.

    Args:
        folder: Searched with its subfolders.
        reading: How files become arrays.
        fixed: The size that all are resized to; None: keep their aspect ratio.
        wanted: The size whose area they are then brought to; None: their own.

    Raises:
        DataError: D223, there is no image.
    """
    paths = [entry.path for entry in list_images(folder).entries] if folder.is_dir() else []
    if not paths:
        raise DataError(
            "D223", f"{printable(folder)}: no image in this folder or below it", "give a folder with images"
        )

    def read() -> Iterable[np.ndarray]:
        for path in paths:
            image = read_image(path, reading)
            yield RESIZE["antialiased"](image, fixed or same_area((image.shape[0], image.shape[1]), wanted))

    return Material(images=read, source=f"{len(paths)} images of a folder")


def split_images(dataset: Dataset, split: str, recipe: Recipe, fixed: Size | None) -> Material:
    """A split with its labels, seen and scored as the recipe's first protocol says.

    An artefact of one size sees all images at that size; where the protocol would show it others, both are scored
    under `native` instead.
    """
    samples = dataset.samples(split)
    protocol = find_protocol(recipe.evaluation.protocols[0])
    seen = protocol.seen_size(recipe.evaluation.input_size)
    if fixed is not None and (seen != fixed or not protocol.one_look or protocol.pad_to is not None):
        protocol = PROTOCOLS["native"]
    input_size = fixed or recipe.evaluation.input_size

    def read() -> Iterable[np.ndarray]:
        for sample in samples:
            image = read_image(sample.image_path, dataset.reading)
            yield seen_images(image, protocol, input_size)[0]

    return Material(
        images=read,
        source=f"{split} of {dataset.name}, {len(samples)} images, protocol {protocol.name}",
        dataset=dataset,
        split=split,
        protocol=protocol,
        input_size=input_size,
    )


def verify(
    network: ExportedNetwork,
    artefact: ArtefactModel,
    material: Material,
    least_equal: float = LEAST_EQUAL,
    max_miou_drop: float | None = None,
    miou_pytorch: float | None = None,
) -> Verification:
    """Compare an artefact with PyTorch; with labels, score both.

    Args:
        network: What was exported.
        artefact: What came of it.
        material: On what.
        least_equal: Share of pixels that must be equal for it to pass, 0..1.
        max_miou_drop: What the mean IoU may lose for it to pass, 0..1; None: anything.
        miou_pytorch: The score of the network where it is known already.

    Raises:
        CheckpointError: K463, the artefact fails.
        DataError: An image or a mask cannot be read.
    """
    found = compare(network, artefact, material.images())
    scores: Sequence[float | None] = (None, None)
    if material.dataset is not None:
        known = miou_pytorch if miou_pytorch is not None else miou_on(network.model, material)
        scores = (known, miou_on(artefact, material))
    return Verification(
        images=found.images,
        source=material.source,
        max_difference=found.max_difference,
        logit_range=found.logit_range,
        equal_pixels=found.equal_pixels,
        least_equal_pixels=least_equal,
        miou_pytorch=scores[0],
        miou_artefact=scores[1],
        max_miou_drop=max_miou_drop,
    )


def miou_on(model: SegmentationModel, material: Material) -> float:
    """The mean IoU, 0..1, on material with labels."""
    if material.dataset is None:
        raise AssertionError("there is no score without labels")
    return evaluate_model(
        model, material.dataset, material.split, material.protocol, input_size=material.input_size
    ).miou
