"""`model.toml`: the description beside the files of an exported network.

It holds in plain text what a program needs to run the artefact correctly (input, output, classes and their colours)
and what tells the quality and origin of the network: the weights' hash, the score with its protocol, the agreement of
the artefact with PyTorch, the licences, and the SHA-256 of every file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from pixelwise.recipes.class_sets.tables import Color
from pixelwise.recipes.overrides import from_plain
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable, sha256_bytes, write_text

NAME = "model"
"""Name of an artefact's files, without their suffixes."""
DESCRIPTION = f"{NAME}.toml"
FORMAT = 1


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """Input of an artefact.

    Attributes:
        name: Name of the graph's input.
        dtype: `uint8`: decoded RGB, normalised in the graph; `float32`: already normalised as `preprocessing` says.
        layout: `NHWC` (uint8) or `NCHW` (float32).
        size: (height, width) of the images; None: any size.
        batch: Number of images per call; None: any number.
    """

    name: str
    dtype: Literal["uint8", "float32"]
    layout: Literal["NHWC", "NCHW"]
    size: Size | None = None
    batch: int | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Output of an artefact.

    Attributes:
        name: Name of the graph's output: `logits` or `labels`.
        dtype: `float32` for logits (B, K, h, w), `uint8` for class ids (B, h, w).
        stride: h and w are the image's sides divided by this stride, rounded up.
        align_corners: Value of `align_corners` for bilinear upsampling of logits or scores to the image's size.
    """

    name: Literal["logits", "labels"]
    dtype: Literal["float32", "uint8"]
    stride: int
    align_corners: bool


class Complexity(msgspec.Struct, frozen=True, kw_only=True):
    """Size and computational cost of the network.

    Attributes:
        parameters: Number of parameters that inference uses.
        macs: Multiply-accumulates for one image of `size`.
        size: (height, width) of the image that `macs` refers to.
    """

    parameters: int
    macs: int
    size: Size


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Score of the weights in PyTorch.

    Attributes:
        miou: Mean IoU, 0..1.
        protocol: Name of the evaluation protocol.
        split: Name of the evaluated split.
    """

    miou: float
    protocol: str
    split: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement of an artefact with the network in PyTorch on the same images.

    Attributes:
        images: Number of images.
        source: Description of the images.
        equal_pixels: Share of pixels with the same class, 0..1.
        least_equal_pixels: Smallest accepted share of equal pixels, 0..1.
        max_difference: Largest absolute difference of a logit; None if the artefact returns class ids only.
        logit_range: Largest minus smallest logit in PyTorch, as a scale for `max_difference`; None likewise.
        miou_pytorch: Mean IoU of the network under the recipe's protocol (0..1); None without ground truth.
        miou_artefact: Mean IoU of the artefact under the same protocol (0..1); None without ground truth.
        max_miou_drop: Largest accepted loss of mean IoU, 0..1; None: any.
    """

    images: int
    source: str
    equal_pixels: float
    least_equal_pixels: float
    max_difference: float | None = None
    logit_range: float | None = None
    miou_pytorch: float | None = None
    miou_artefact: float | None = None
    max_miou_drop: float | None = None

    @property
    def miou_drop(self) -> float | None:
        """Mean IoU that the artefact loses against PyTorch, 0..1; None without ground truth."""
        if self.miou_pytorch is None or self.miou_artefact is None:
            return None
        return self.miou_pytorch - self.miou_artefact

    @property
    def passed(self) -> bool:
        """Whether `equal_pixels` and the loss of mean IoU are within the accepted limits."""
        drop = self.miou_drop
        holds = self.max_miou_drop is None or (drop is not None and drop <= self.max_miou_drop)
        return holds and self.equal_pixels >= self.least_equal_pixels


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Calibration of an int8 artefact.

    Attributes:
        images: Number of calibration images.
        source: Description of the calibration images.
        ranges: Method that chose the range of each activation.
    """

    images: int
    source: str
    ranges: str


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """Licences of an artefact: SPDX identifiers, `unknown`, or `none` if there is nothing to license.

    Attributes:
        weights: Licence of the weights.
        code: Licence of the original code that the network follows.
    """

    weights: str
    code: str


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `model.toml`.

    Attributes:
        format: Version of this file; 1.
        runtime: Name of the target that it was exported to.
        plugin: Name and version of the installed package that adds this target; None for a built-in one.
        precision: Number format of its weights.
        recipe_name: Name of the recipe.
        recipe_hash: SHA-256 of the recipe in `recipe`.
        classes: Class names; the position is the class id.
        palette: One RGB colour per class.
        preprocessing: Normalisation: `(image / 255 - mean) / std` per channel, RGB.
        input: Format of the input.
        output: Format of the output.
        protocol: Name of the recipe's first evaluation protocol.
        complexity: Parameters and multiply-accumulates of the network.
        licence: Licences of the weights and of the code.
        weights_sha256: SHA-256 of the weights file that was exported; empty for random weights.
        files: Name -> SHA-256 of every other file of the artefact.
        versions: Versions of the packages that wrote it.
        score: Score of the weights in PyTorch; None: not measured.
        verification: Agreement with PyTorch; None: not verified.
        calibration: Calibration of an int8 artefact; None: nothing was calibrated.
        float_layers: Layers of an int8 artefact that compute in float.
        recipe: The resolved recipe as nested tables.
    """

    format: int = FORMAT
    runtime: str
    plugin: str | None = None
    precision: str = "float32"
    recipe_name: str
    recipe_hash: str
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    preprocessing: Preprocessing
    input: Input
    output: Output
    protocol: str
    complexity: Complexity
    licence: Licence
    weights_sha256: str
    files: dict[str, str]
    versions: dict[str, str]
    score: Score | None = None
    verification: Verification | None = None
    calibration: Calibration | None = None
    float_layers: tuple[str, ...] = ()
    recipe: dict[str, Any]

    @property
    def files_sha256(self) -> str:
        """SHA-256 of a single file, or of the concatenated hashes of several files."""
        hashes = list(self.files.values())
        return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())

    def resolved_recipe(self, where: Path) -> Recipe:
        """The recipe as a struct.

        Args:
            where: The artefact's file, for error messages.

        Raises:
            RecipeError: R202 or R203, it is not a valid recipe of this version.
        """
        return from_plain(self.recipe, printable(where))


def write_sidecar(sidecar: Sidecar, path: Path) -> None:
    """Write the description as TOML; fields that are None are left out."""
    text = tomli_w.dumps(_without_none(msgspec.to_builtins(sidecar)))
    # Lists of numbers (a palette has hundreds) go on one line each.
    numbers = re.compile(r"\[\s+((?:[-+.e\d]+,\s*)+)\]")
    write_text(path, numbers.sub(lambda found: f"[{' '.join(found[1].split()).removesuffix(',')}]", text))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
