"""Options of `deploy`."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.deployment.export.options import ArtefactOptions


class DeployOptions(ArtefactOptions, frozen=True, kw_only=True):
    """Which forms of a run are compared, and how.

    Attributes:
        targets: Formats that the run is exported to.
        int8: `ptq` adds artefacts that are quantized after training, `qat` one of a run that was trained with 8-bit
            numbers.
        qat_run: The run that was trained with 8-bit numbers, where it is another one.
        argmax: Artefacts give class ids (uint8) instead of logits.
        uint8_input: Artefacts take RGB bytes (N, H, W, 3) and normalise them inside.
        dynamic: Artefacts take any number of images of any size, even where the protocol shows all images at one.
        size: Size of all images: (height, width) in Python, WIDTHxHEIGHT on the command line; by default the one size
            at which the network sees all images under the recipe's protocol, where there is one.
        data: Folder of the data set; by default the one that the run was trained on.
        split: Split that all forms are scored on; by default the recipe's.
        images: Folder of images without labels to compare on instead: agreement with PyTorch is measured, mIoU is not.
        threads: Numbers of CPU threads that latency is measured with.
        rounds: Number of timed passes of each form; with 0 latency is not measured.
        max_miou_drop: Points of mIoU (0.5 is half a point) that a form may lose; one that loses more breaks the budget.
        calibration_images: Number of training images, at most, from which the ranges of activations are read off.
    """

    targets: Annotated[tuple[str, ...], Meta(extra={"names": "pixelwise.runtimes.targets:target_names"})] = (
        "onnx",
        "openvino",
    )
    int8: tuple[Literal["ptq", "qat"], ...] = ()
    qat_run: str | os.PathLike[str] | None = None
    threads: tuple[Annotated[int, Meta(ge=1)], ...] = (1,)
    rounds: Annotated[int, Meta(ge=0)] = 30
    max_miou_drop: Annotated[float | None, Meta(ge=0)] = None
    calibration_images: Annotated[int, Meta(ge=1)] = 128
