"""What turns a graph in float32 into an artefact in int8: one quantizer per target that has one.

Weights become int8, symmetric, with one scale per output channel; activations uint8 with one scale and one zero point
per tensor, found by running the graph over calibration images. Batch normalisation is folded into the convolutions
already when the graph is written.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.runtimes.packages import require
from pixelwise.runtimes.targets import Target, find_target, quantizable_names

ACTIVATION_RANGE = "mean over the images of the least and of the largest value"
"""How the range of an activation follows from the calibration images: a single outlier does not stretch it."""


class Int8Job(msgspec.Struct, frozen=True, kw_only=True):
    """A graph in float32 from which an artefact in int8 is made.

    Attributes:
        float_file: The network as an ONNX file in float32.
        folder: Existing folder for the artefact's files.
        inputs: Makes the calibration inputs anew, each as the graph takes it.
        count: Number of calibration inputs.
        float_nodes: Names of the nodes of those layers that are to stay in float.
    """

    float_file: Path
    folder: Path
    inputs: Callable[[], Iterable[np.ndarray]]
    count: int
    float_nodes: Collection[str] = ()


class Quantizer(msgspec.Struct, frozen=True, kw_only=True):
    """Makes int8 artefacts of one target.

    Attributes:
        package: The module that it needs besides those of the target.
        quantize: Makes the files of the artefact, the one that the runtime opens first.
        last_in_float: Whether it always leaves the last layers in float.
    """

    package: str
    quantize: Callable[[Int8Job], list[Path]]
    last_in_float: bool = False


def find_quantizer(name: str) -> tuple[Target, Quantizer]:
    """The target of a name, and what quantizes for it.

    Raises:
        RecipeError: R240, its package is not installed; R244, the target has no quantizer; R250, there is no such
            target.
    """
    target = find_target(name)
    if not target.quantizer:
        raise RecipeError(
            "R244",
            f"{name} is not quantized after training",
            f"choose from: {', '.join(quantizable_names())}; or train with 8-bit numbers: "
            "pixelwise train RECIPE quantization=x86-8bit --from RUN",
        )
    quantizer = pkgutil.resolve_name(target.quantizer)
    require(quantizer.package, f"quantizing to {name}", target.install)
    return target, quantizer


def cannot_quantize(package: str, error: Exception) -> CheckpointError:
    """The error for a network that a quantizer refuses."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return CheckpointError(
        "K467", f"{package} cannot quantize this network: {reason}", "try another `target`, or one `size`"
    )
