"""Images for calibrating the ranges of activations."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from pixelwise.deployment.export.images import VerificationImages, dataset_of, images_for, split_images
from pixelwise.deployment.export.options import ArtefactOptions
from pixelwise.deployment.export.sources import Source
from pixelwise.deployment.int8.sensitivity import evenly_spaced
from pixelwise.errors import RecipeError
from pixelwise.observer import Warn
from pixelwise.runtimes.graphs import GraphOptions


class Int8Images(msgspec.Struct, frozen=True, kw_only=True):
    """Images for post-training quantization.

    Attributes:
        calibration: Images to calibrate the ranges of activations on.
        verification: Images on which the artefact is compared with PyTorch.
    """

    calibration: VerificationImages
    verification: VerificationImages


def int8_images(
    source: Source, graph: GraphOptions, options: ArtefactOptions, count: int, warn: Warn | None = None
) -> Int8Images:
    """Choose the images for calibration and verification.

    Args:
        source: The network and its origin.
        graph: Input format of the artefact, with its size.
        options: Choice of the data, the split or the folder of images.
        count: Largest number of calibration images; they are evenly spaced.

        warn: Receives a warning (W410 to W412) if the classes of other data had to be matched.

    Raises:
        RecipeError: R246, there are no images to calibrate on.
        DataError: The images cannot be found.
    """
    verification = images_for(source, graph, options, warn)
    if options.images is not None and options.data is None and options.split is None:
        return Int8Images(calibration=_some(verification, count), verification=verification)
    if source.run is None and options.data is None:
        raise RecipeError(
            "R246",
            f"int8 needs images to calibrate the ranges of activations on, and the recipe '{source.recipe.name}' has "
            "none",
            "quantize a run, or give `data` or `images`",
        )
    dataset, training = dataset_of(source, options.data), source.recipe.data.train_split
    chosen = evenly_spaced(dataset.samples(training), count)
    few = msgspec.structs.replace(dataset, splits={training: tuple(chosen)})
    fixed = None if graph.dynamic else graph.size
    return Int8Images(calibration=split_images(few, training, source.recipe, fixed), verification=verification)


def _some(images: VerificationImages, count: int) -> VerificationImages:
    """At most `count` of the images, evenly spaced."""
    total = sum(1 for _ in images.read())
    wanted = set(evenly_spaced(range(total), count))

    def read() -> Iterable[np.ndarray]:
        return (image for index, image in enumerate(images.read()) if index in wanted)

    source = images.source if len(wanted) == total else f"{len(wanted)} of {images.source}"
    return msgspec.structs.replace(images, read=read, source=source)
