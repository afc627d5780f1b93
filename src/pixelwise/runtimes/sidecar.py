"""`model.toml`: what an exported network is, beside its files.

Everything that a program needs to run `model.onnx` right is here in plain text: which bytes go in, what comes out, the
classes and their colours; and everything that says what the network is worth: where the weights come from, the score
with its protocol, how far the artefact agrees with PyTorch, the licence, the SHA-256 of every file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from pixelwise.recipes.classes.tables import Color
from pixelwise.recipes.overrides import from_plain
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable, sha256_bytes, write_text

NAME = "model"
"""What the files of an artefact are called, but for their endings."""
DESCRIPTION = f"{NAME}.toml"
FORMAT = 1


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into an artefact.

    Attributes:
        name: Name of the graph's input.
        dtype: `uint8`: RGB as decoded, normalisation is in the graph; `float32`: normalised as `preprocessing` says.
        layout: `NHWC` (uint8) or `NCHW` (float32).
        size: (height, width) of the images; None: any.
        batch: Images per call; None: any.
    """

    name: str
    dtype: Literal["uint8", "float32"]
    layout: Literal["NHWC", "NCHW"]
    size: Size | None = None
    batch: int | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What comes out of an artefact.

    Attributes:
        name: Name of the graph's output: `logits` or `labels`.
        dtype: float32 logits (B, K, h, w), or uint8 class ids (B, h, w).
        stride: h and w are the image's divided by it, rounded up.
        align_corners: How logits or scores are to be enlarged bilinearly to the size of the image.
    """

    name: Literal["logits", "labels"]
    dtype: Literal["float32", "uint8"]
    stride: int
    align_corners: bool


class Complexity(msgspec.Struct, frozen=True, kw_only=True):
    """What the network costs.

    Attributes:
        parameters: Number of parameters that inference uses.
        macs: Multiply-accumulates of one image of `size`.
        size: (height, width) of that image.
    """

    parameters: int
    macs: int
    size: Size


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What the weights reached in PyTorch.

    Attributes:
        miou: Mean IoU, 0..1.
        protocol: Name of the protocol.
        split: Name of the split that was scored.
    """

    miou: float
    protocol: str
    split: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How far an artefact agrees with the network in PyTorch, on the same images.

    Attributes:
        images: Number of images.
        source: Which images they are, in words.
        equal_pixels: Share of pixels with the same class, 0..1.
        least_equal_pixels: Smallest share of equal pixels that was accepted, 0..1.
        max_difference: Largest difference of any logit; None where the artefact gives class ids only.
        logit_range: Largest minus smallest logit of PyTorch, to compare it with; None likewise.
        miou_pytorch: Mean IoU of the network under the recipe's protocol, where there were labels.
        miou_artefact: That of the artefact.
        max_miou_drop: Largest loss of mean IoU that was accepted, 0..1; None: any.
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
        """What the artefact loses, 0..1; None: there were no labels."""
        if self.miou_pytorch is None or self.miou_artefact is None:
            return None
        return self.miou_pytorch - self.miou_artefact

    @property
    def passed(self) -> bool:
        """Whether `equal_pixels` and the mean IoU reach what was asked for."""
        drop = self.miou_drop
        holds = self.max_miou_drop is None or (drop is not None and drop <= self.max_miou_drop)
        return holds and self.equal_pixels >= self.least_equal_pixels


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What the ranges of an artefact in int8 were found on.

    Attributes:
        images: Number of images.
        source: Which images they are, in words.
        ranges: How the range of an activation followed from them.
    """

    images: int
    source: str
    ranges: str


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """SPDX identifiers, `unknown`, or `none` where there is nothing to license.

    Attributes:
        weights: Licence of the weights.
        code: Licence of the original code that the network follows.
    """

    weights: str
    code: str


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known about an artefact.

    Attributes:
        format: Version of this file; 1.
        runtime: Name of the target that it was exported to.
        plugin: Name and version of the installed package that adds this target; None for a built-in one.
        precision: Number format of the weights in it.
        recipe_name: Name of the recipe.
        recipe_hash: SHA-256 of the recipe in `recipe`.
        classes: Names; the position is the class id.
        palette: One RGB colour per class.
        preprocessing: `(image / 255 - mean) / std` per channel, RGB.
        input: What goes in.
        output: What comes out.
        protocol: Name of the first protocol by which the recipe evaluates.
        complexity: Parameters and multiply-accumulates of the network.
        licence: Licences of the weights and of the code.
        weights_sha256: SHA-256 of the weights file it was made from; empty for random weights.
        files: Name -> SHA-256 of every file beside this one that belongs to it.
        versions: Versions of the packages that made it.
        score: Score that its weights reached; None: not measured.
        verification: How far it agrees with PyTorch; None: not verified.
        calibration: What the ranges of an artefact in int8 come from; None: nothing was calibrated.
        float_layers: Layers of an artefact in int8 that compute in float.
        recipe: The recipe as nested tables.
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
        """The SHA-256 of the one file, or that of the hashes of several."""
        hashes = list(self.files.values())
        return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())

    def resolved_recipe(self, where: Path) -> Recipe:
        """The recipe.

        Raises:
            RecipeError: R202 or R203, it is not one of this version.
        """
        return from_plain(self.recipe, printable(where))


def write_sidecar(sidecar: Sidecar, path: Path) -> None:
    """Write it as TOML; what is None is an absent key."""
    text = tomli_w.dumps(_without_none(msgspec.to_builtins(sidecar)))
    # Lists of numbers, of which a palette has hundreds, on one line each.
    numbers = re.compile(r"\[\s+((?:[-+.e\d]+,\s*)+)\]")
    write_text(path, numbers.sub(lambda found: f"[{' '.join(found[1].split()).removesuffix(',')}]", text))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
