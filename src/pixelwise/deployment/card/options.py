"""Options of `deploy`."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.deployment.export.options import ArtefactOptions


class DeployOptions(ArtefactOptions, frozen=True, kw_only=True):
    """Variants of a run to compare, and how to measure them.

    Attributes:
        targets: Formats to export the run to.
        int8: `ptq` adds artefacts from post-training quantization, `qat` those of a run of quantization-aware training.
        qat_run: The run of quantization-aware training, if it is another run.
        argmax: Artefacts return class ids (uint8) instead of logits.
        uint8_input: Artefacts take uint8 RGB (N, H, W, 3) and normalise it in the graph.
        dynamic: Artefacts take any number of images of any size, even if the protocol gives all images one size.
        size: The only image size that the artefacts take: (height, width) in Python, WIDTHxHEIGHT on the command line;
            by default the input size under the recipe's protocol, if it is the same for all images. Images of other
            sizes go through windows of it.
        data: Folder of the data set; by default the one that the run was trained on.
        split: Split to score all variants on; by default the recipe's evaluation split.
        images: Folder of images without labels to compare on instead: measures agreement with PyTorch, but no mIoU.
        threads: Numbers of CPU threads to measure latency with.
        rounds: Number of timed passes per variant; 0 skips the measurement of latency.
        max_miou_drop: Largest loss of mIoU that a variant may have, in points (0.5 is half a point); a larger loss is
            an error.
        calibration_images: Largest number of training images to calibrate the activation ranges on.
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
