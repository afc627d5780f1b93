"""Options of `quantize`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.deployment.export.options import ExportOptions


class QuantizeOptions(ExportOptions, frozen=True, kw_only=True):
    """How a network is quantized to int8.

    Attributes:
        target: The format.
        weights: `none` quantizes the network of a recipe with random weights; it needs data or images to calibrate on.
        split: Verify the artefact on this split of the data, with the mIoU of both; with a largest drop of mIoU by
            default the split that training selects its best checkpoint on.
        images: Calibrate and verify on the images in this folder; with data or a split only verify on them.
        least_equal: Share of pixels, 0 to 1, that must get the same class as in PyTorch; by default 0.95, and 0 where
            a largest drop of mIoU is given.
        force: Keep the artefact even if it is not good enough; `model.toml` says how far it differs.
        sensitivity: List what each layer costs when it alone computes in int8; without an output nothing else is done.
        max_miou_drop: Points of mIoU (0.5 is half a point) that may be lost. The layers that cost most stay in float
            until that holds.
        calibration_images: Number of training images, at most, from which the ranges of activations are read off.
        threads: Number of threads of the runtime while the artefact is verified.
    """

    target: Annotated[str, Meta(extra={"names": "pixelwise.runtimes.targets:quantizable_names"})] = "onnx"
    sensitivity: bool = False
    max_miou_drop: Annotated[float | None, Meta(ge=0, le=100)] = None
    calibration_images: Annotated[int, Meta(ge=1)] = 128
    threads: Annotated[int | None, Meta(ge=1)] = None
