"""Options of `export`, and those that it shares with `quantize` and `deploy`."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options
from pixelwise.recipes.sizes import Size


class ArtefactOptions(Options, frozen=True, kw_only=True):
    """What artefacts take and give, and the images on which they are compared with PyTorch.

    Attributes:
        argmax: Class ids (uint8) come out instead of logits.
        uint8_input: RGB bytes (N, H, W, 3) go in and are normalised inside; otherwise normalised float32 (N, 3, H, W).
        dynamic: Any number of images of any size go in; otherwise one image of one size.
        size: That one size. (height, width) in Python, WIDTHxHEIGHT on the command line; by default the size at which
            the recipe sees images.
        data: Folder of the data set that the split belongs to; by default the one that the run was trained on.
        split: Split of the data on which PyTorch and the artefact are both scored.
        images: Folder of images without labels to compare on.
    """

    argmax: bool = False
    uint8_input: bool = False
    dynamic: bool = False
    size: Size | None = None
    data: str | os.PathLike[str] | None = None
    split: str | None = None
    images: str | os.PathLike[str] | None = None


class ExportOptions(ArtefactOptions, frozen=True, kw_only=True):
    """How a network is exported.

    Attributes:
        target: The format.
        output_stride: The sides of the result are those of the image divided by this number; 1 enlarges the logits to
            the image's size. `head` on the command line and None in Python leave them at the network's own stride.
        weights: `none` exports the network of a recipe with random weights, which is right for measuring time.
        num_classes: Number of classes of a recipe that leaves it to the data.
        split: Verify the artefact on this split of the data, with the mIoU of both.
        images: Verify the artefact on the images in this folder; by default on drawn street scenes.
        least_equal: Share of pixels, 0 to 1, that must get the same class as in PyTorch; by default 0.9999, or 0.97
            for a network trained with 8-bit numbers, which runtimes round in another order.
        force: Keep the artefact even if it differs from PyTorch; `model.toml` says how far.
    """

    target: Annotated[str, Meta(extra={"names": "pixelwise.runtimes.targets:target_names"})] = "onnx"
    output_stride: Annotated[int | None, Meta(extra={"none": "head"})] = 1
    weights: str | None = None
    num_classes: Annotated[int | None, Meta(ge=1, extra={"flag": "--classes"})] = None
    least_equal: Annotated[float | None, Meta(ge=0, le=1)] = None
    force: bool = False
