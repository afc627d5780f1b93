"""Options of `export`, including those shared with `quantize` and `deploy`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.checkpoints.hub.resolving import here
from pixelwise.deployment.web.names import RUNTIME, TARGET
from pixelwise.errors import RecipeError
from pixelwise.options import Options
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.run_folder import is_run
from pixelwise.runtimes.targets import target_names
from pixelwise.storage import printable


class ArtefactOptions(Options, frozen=True, kw_only=True):
    """Input and output formats of artefacts, and the images on which they are compared with PyTorch.

    Attributes:
        argmax: Return class ids (uint8) instead of logits.
        uint8_input: Take uint8 RGB (N, H, W, 3) and normalise it in the graph, instead of normalised float32
            (N, 3, H, W).
        dynamic: Take any number of images of any size even if a size is given, which is then used for counting alone.
        size: The only image size that the artefact takes: (height, width) in Python, WIDTHxHEIGHT on the command
            line; images of other sizes go through windows of it. By default an artefact takes any size if its runtime
            can, otherwise the size at which the run sees all images.
        data: Folder of the data set that the split belongs to; by default the one that the run was trained on.
        split: Split of the data set on which PyTorch and the artefact are both scored.
        images: Folder of images without labels to compare on.
    """

    argmax: bool = False
    uint8_input: bool = False
    dynamic: bool = False
    size: Size | None = None
    data: str | os.PathLike[str] | None = None
    split: str | None = None
    images: str | os.PathLike[str] | None = None

    def refuse_two_sources(self, *labelled: str) -> None:
        """Check that not both images without labels and labelled ones are chosen.

        Args:
            labelled: Names of the options that choose labelled images.

        Raises:
            RecipeError: R251, `images` is given together with one of them.
        """
        for field in labelled:
            if self.images is not None and getattr(self, field) is not None:
                raise RecipeError(
                    "R251",
                    f"`images` is a folder without labels, so `{field}` does not apply to it",
                    f"leave out either `images` or `{field}`",
                )


class ExportOptions(ArtefactOptions, frozen=True, kw_only=True):
    """Format and verification of an exported network.

    Attributes:
        target: Export format; `web` is an ONNX artefact in a page that runs it in a browser.
        output_stride: Stride of the result: its sides are the image's divided by it. 1 upsamples the logits to the
            image's size; `head` keeps the network's own stride. By default 1, but `head` for logits of a run that
            resizes its images before the network: they are then enlarged once, to the size of the mask, as in the run.
        weights: `none` exports a recipe's network with random weights, for example to measure latency.
        num_classes: Number of classes, for a recipe that leaves it to the data.
        split: Verify the artefact on this split of the data set, including the mIoU of both.
        images: Verify the artefact on the images in this folder; by default on drawn street scenes.
        least_equal: Smallest share of pixels, 0 to 1, that must get the same class as in PyTorch; by default 0.9999,
            or 0.97 after quantization-aware training, whose simulated int8 runtimes round in another order.
        force: Keep the artefact even if it differs from PyTorch; `model.toml` records by how much.
        runtime: For `web`: a folder or an archive of the npm package onnxruntime-web, for computers without a network;
            by default it is downloaded from npm's registry once.
    """

    target: Annotated[str, Meta(extra={"names": "pixelwise.deployment.export.options:export_names"})] = "onnx"
    output_stride: Annotated[int | Literal["head"] | None, Meta(extra={"word": "head"})] = None
    weights: str | None = None
    num_classes: Annotated[int | None, Meta(ge=1, extra={"flag": "--classes"})] = None
    least_equal: Annotated[float | None, Meta(ge=0, le=1)] = None
    force: bool = False
    runtime: str | os.PathLike[str] | None = None

    @property
    def format(self) -> str:
        """Name of the export target whose artefact is written."""
        return RUNTIME if self.target == TARGET else self.target

    def refuse_runtime(self) -> None:
        """Check that a runtime for a page is given only with a page.

        Raises:
            RecipeError: R251, `runtime` is given with another target.
        """
        if self.runtime is not None and self.target != TARGET:
            raise RecipeError(
                "R251",
                f"`runtime` is for the target {TARGET}, not for {self.target}",
                f"leave it out, or set `target` to {TARGET}",
            )


def export_names() -> list[str]:
    """Names of everything that can be exported to, sorted: all targets, and the page."""
    return sorted([*target_names(), TARGET])


def require_source(source: str, weights: str | None) -> None:
    """Check that there are weights to export: those of a run, or random ones for a recipe.

    Args:
        source: A run folder or a folder of imported weights; with `weights="none"` a recipe's name or file.
        weights: `none` for random weights; None for those of the run.

    Raises:
        RecipeError: R241, a recipe without `weights="none"`, a run with it, or neither run nor recipe.
    """
    path = Path(here(source))
    if weights not in (None, "none"):
        raise RecipeError(
            "R241",
            f"`weights` is '{weights}'; expected none for random weights, or to be left out for those of a run",
            "train a run or import weights, and export that folder",
        )
    if weights == "none":
        if is_run(path):
            raise RecipeError(
                "R241",
                f"`weights` is none, but {source} is a run, which has weights",
                "leave `weights` out, or give its recipe instead of the run",
            )
        return
    if path.is_dir():
        return
    try:
        recipe = find_recipe(source)
    except RecipeError as error:
        if error.code != "R200":
            raise
        raise RecipeError("R241", f"there is no folder {printable(path)}; {error.message}", error.help) from None
    raise RecipeError(
        "R241",
        f"'{recipe.name}' is a recipe, which has no weights",
        "train it and give the run folder, or set `weights` to none for random weights",
    )
