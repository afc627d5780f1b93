"""Scores of a network's several forms on the same images: against the labels, and against PyTorch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.checkpoints.trained import TrainedModel
from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.deployment.export.verification import folder_images
from pixelwise.errors import DataError
from pixelwise.evaluation.runs import evaluate, origin_of
from pixelwise.evaluation.subject import Measures, Subject, score
from pixelwise.models import SegmentationModel
from pixelwise.prediction.network import main_logits, predicted_labels, prediction_mode
from pixelwise.prediction.sizes import seen_images
from pixelwise.profiling.latency import LatencyRuntime
from pixelwise.recipes.protocols import PROTOCOLS, Protocol, Size
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.schema.training import Precision
from pixelwise.recipes.sizes import seen_size
from pixelwise.records.run_folder import ENVIRONMENT

PRECISIONS: dict[LatencyRuntime, Precision] = {
    "torch": Precision(),
    "torch-channels-last": Precision(channels_last=True),
    "torch-bf16": Precision(dtype="bfloat16"),
}
"""The number formats and layouts that PyTorch is timed in."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """The images on which all forms of a network are compared.

    Attributes:
        images: Reads them anew, uint8 (H, W, C) each, as the network sees them.
        source: Which they are, in words.
        count: How many.
        fixed: (height, width) that all are brought to; None: the protocol's or their own.
        latency_size: (height, width) that latency is measured at.
        dataset: With labels; None: there are none.
        folder: Of the data set; None: the synthetic town, or no data set.
        split: Of the data set; empty: no labels.
        protocol: How predictions are scored.
        input_size: The size the network sees where the protocol leaves it open.
        batch_size: Images per forward pass of an evaluation.
    """

    images: Callable[[], Iterable[np.ndarray]]
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


def folder_ground(folder: Path, recipe: Recipe, size: Size | None, *, dynamic: bool) -> Ground:
    """The images in a folder, without labels.

    Args:
        folder: Searched with its subfolders.
        recipe: Of the run.
        size: That all are resized to; None: the recipe's.
        dynamic: They keep their sizes, or the area that the recipe asks for; `size` is that of latency alone.

    Raises:
        DataError: D223, there is no image.
    """
    wanted = size or seen_size(recipe)
    fixed = None if dynamic else wanted
    material = folder_images(folder, Reading.of(recipe.data), fixed, recipe.evaluation.input_size)
    return Ground(
        images=material.images,
        source=material.source,
        count=len(list_images(folder).entries),
        fixed=fixed,
        latency_size=wanted,
    )


def split_ground(
    run: Path,
    recipe: Recipe,
    data: str | os.PathLike[str] | None,
    split: str | None,
    size: Size | None,
    *,
    dynamic: bool,
) -> Ground:
    """A split with its labels.

    Without `size` the network sees exactly what the recipe's first protocol shows it. Where that is one size for
    all images, artefacts of that one size are compared, otherwise artefacts of any size. With `size` it sees all
    images at that size, scored by the same protocol if that leaves the size open, otherwise by `native`.

    Args:
        run: The run folder.
        recipe: Of the run.
        data: Folder of the data set; None: where the run was trained.
        split: None: the recipe's `evaluation.split`.
        size: (height, width).
        dynamic: No one size, even where there is one; `size` is that of latency alone.

    Raises:
        DataError: The data cannot be opened.
        RecipeError: R204, the recipe's protocol is unknown.
    """
    folder = os.fspath(data) if data is not None else _trained_on(run)
    if data is None and not knows_its_data(run, recipe):
        raise DataError("D222", f"{run} does not know its data", "name the folder with --data")
    dataset = open_dataset(recipe.data, Path(folder) if folder is not None else None)
    split = split or recipe.evaluation.split
    samples = dataset.samples(split)
    protocol = find_protocol(recipe.evaluation.protocols[0])
    shown = _one_size(dataset, split, protocol, recipe.evaluation.input_size)
    fixed = None if dynamic else size or shown
    if fixed is not None and not _shows(protocol, fixed):
        # Where the caller insists on a size, only another protocol can show it.
        fixed, protocol = (fixed, PROTOCOLS["native"]) if size is not None else (None, protocol)
    seen = fixed or recipe.evaluation.input_size

    def read() -> Iterable[np.ndarray]:
        for sample in samples:
            yield seen_images(read_image(sample.image_path, dataset.reading), protocol, seen)[0]

    return Ground(
        images=read,
        source=f"{split} of {dataset.name}",
        count=len(samples),
        fixed=fixed,
        latency_size=fixed or size or shown or seen_size(recipe),
        dataset=dataset,
        folder=folder,
        split=split,
        protocol=protocol,
        input_size=seen,
        batch_size=recipe.evaluation.batch_size,
    )


def score_pytorch(trained: TrainedModel, ground: Ground, runtime: LatencyRuntime, output: Path) -> float | None:
    """The mIoU of the run's network on the CPU, its result kept in `output/RUNTIME/evaluations`.

    Args:
        trained: The run's network.
        ground: On what.
        runtime: In which number format and layout.
        output: The card's folder.

    Returns:
        0..1; None without labels.
    """
    if ground.dataset is None:
        return None
    subject = Subject(
        model=trained.model,
        origin=origin_of(trained),
        dataset=ground.dataset,
        split=ground.split,
        protocols=(ground.protocol,),
        input_size=ground.input_size,
        batch_size=ground.batch_size,
        precision=PRECISIONS[runtime],
        folder=output / runtime,
    )
    (result,) = score(subject, Measures(device="cpu", boundary=False))
    return _or_none(result.miou)


def score_artefact(artefact: Path, ground: Ground) -> float | None:
    """The mIoU of an artefact, its result kept in its folder.

    Returns:
        0..1; None without labels.

    Raises:
        CheckpointError: K463, the runtime fails.
    """
    if ground.dataset is None:
        return None
    result = evaluate(artefact, ground.folder, ground.split, ground.protocol.name, boundary=False)
    return _or_none(result.miou)


def equal_pixels(
    reference: SegmentationModel,
    model: SegmentationModel,
    ground: Ground,
    precision: Precision = Precision(),  # noqa: B008 (immutable)
) -> float:
    """Share of the pixels of all images, as the network sees them, that two networks give the same class.

    Args:
        reference: The one, in float32.
        model: The other.
        ground: The images.
        precision: Number format and layout of the other.

    Raises:
        CheckpointError: K463, a runtime fails.
    """
    equal = pixels = 0
    with prediction_mode(reference), prediction_mode(model):
        for image in ground.images():
            size = (image.shape[0], image.shape[1])
            one, other = (
                predicted_labels(
                    main_logits(network, [np.array(image)], chosen),
                    size,
                    size,
                    PROTOCOLS["native"],
                    network.align_corners,
                    multilabel=reference.multilabel,
                )
                for network, chosen in ((reference, Precision()), (model, precision))
            )
            equal, pixels = equal + int((one == other).sum()), pixels + one.numel()
    return equal / pixels if pixels else 0.0


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


def knows_its_data(run: Path, recipe: Recipe) -> bool:
    """Whether a run's data is known: the folder it was trained on, or the synthetic town, which needs none."""
    return _trained_on(run) is not None or recipe.data.dataset == "town"


def _trained_on(run: Path) -> str | None:
    path = run / ENVIRONMENT
    facts = msgspec.json.decode(path.read_bytes()) if path.is_file() else {}
    return facts.get("arguments", {}).get("data")


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
