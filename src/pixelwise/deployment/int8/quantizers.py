"""Quantizers, which turn a float32 graph into an int8 artefact of a target.

Weights become symmetric int8 with one scale per output channel; activations become uint8 with one scale and one zero
point per tensor, found by running the graph on calibration images. Batch normalisation has already been folded into
the convolutions when the graph was written.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.runtimes.packages import require
from pixelwise.runtimes.targets import Target, find_target, quantizable_names
from pixelwise.storage.atomic import full_disk_behind

ACTIVATION_RANGE = "minimum and maximum per image, averaged over the images"
"""Method that finds the range of an activation: because of the mean, a single outlier hardly stretches it."""


class Int8Job(msgspec.Struct, frozen=True, kw_only=True):
    """A float32 graph to be quantized to an int8 artefact.

    Attributes:
        float_file: The network as a float32 ONNX file.
        folder: Existing folder for the artefact's files.
        inputs: Returns a new iterator over the calibration inputs, each in the graph's input format.
        count: Number of calibration inputs.
        float_nodes: Names of the nodes of the layers that stay in float.
    """

    float_file: Path
    folder: Path
    inputs: Callable[[], Iterable[np.ndarray]]
    count: int
    float_nodes: Collection[str] = ()


class Quantizer(msgspec.Struct, frozen=True, kw_only=True):
    """Post-training quantization for one target.

    Attributes:
        package: Module that it needs besides those of the target.
        quantize: Writes the files of the artefact and returns them; first the one that the runtime opens.
        last_in_float: Whether it always leaves the last layers in float.
    """

    package: str
    quantize: Callable[[Int8Job], list[Path]]
    last_in_float: bool = False


def find_quantizer(name: str) -> tuple[Target, Quantizer]:
    """The target with a name, and its quantizer.

    Raises:
        RecipeError: R240, the quantizer's package is not installed; R244, the target has no quantizer; R250, there is
            no such target.
    """
    target = find_target(name)
    if not target.quantizer:
        raise RecipeError(
            "R244",
            f"the target {name} does not support post-training quantization",
            f"choose from: {', '.join(quantizable_names())}; or use quantization-aware training: "
            "pixelwise train RECIPE quantization=x86-8bit initialize.run=RUN",
        )
    quantizer = pkgutil.resolve_name(target.quantizer)
    require(quantizer.package, f"quantizing to {name}", target.install)
    return target, quantizer


def cannot_quantize(package: str, error: Exception, job: Int8Job) -> PixelwiseError:
    """Error K467 for a network that a quantizer cannot quantize, or S601 if the disk is full."""
    full = full_disk_behind(error, job.folder, job.float_file.stat().st_size)
    if full is not None:
        return full
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return CheckpointError(
        "K467",
        f"{package} cannot quantize this network: {reason}",
        "try another format, or a fixed `size` without `dynamic`",
    )
