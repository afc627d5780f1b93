"""Options of `quantize`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.deployment.export.options import ExportOptions


class QuantizeOptions(ExportOptions, frozen=True, kw_only=True):
    """Settings of post-training quantization to int8.

    Attributes:
        target: Export format.
        weights: `none` quantizes a recipe's network with random weights; it needs data or images to calibrate on.
        split: Verify the artefact on this split of the data set, including the mIoU of both; with a largest mIoU drop
            the default is the split that training selects its best checkpoint on.
        images: Calibrate and verify on the images in this folder; with data or a split only verify on them.
        least_equal: Smallest share of pixels, 0 to 1, that must get the same class as in PyTorch; by default 0.95, or
            0 if a largest mIoU drop is given.
        force: Keep the artefact even if it fails verification; `model.toml` records by how much it differs.
        sensitivity: List the cost of each layer when it alone is computed in int8; without an output, do nothing else.
        max_miou_drop: Largest accepted loss of mIoU in points (0.5 is half a point); the most costly layers are kept
            in float until it holds.
        calibration_images: Largest number of training images to calibrate the activation ranges on.
        threads: Number of CPU threads of the runtime while the artefact is verified.
    """

    target: Annotated[str, Meta(extra={"names": "pixelwise.runtimes.targets:quantizable_names"})] = "onnx"
    sensitivity: bool = False
    max_miou_drop: Annotated[float | None, Meta(ge=0, le=100)] = None
    calibration_images: Annotated[int, Meta(ge=1)] = 128
    threads: Annotated[int | None, Meta(ge=1)] = None
