"""`model.toml`: what an exported network is, beside its files.

Everything that a program needs to run `model.onnx` right is here in plain text: which bytes go in, what comes out, the
classes and their colours; and everything that says what the network is worth: where the weights come from, the score
with its protocol, how far the artefact agrees with PyTorch, the licence, the SHA-256 of every file.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from pixelwise.errors import CheckpointError
from pixelwise.recipes.classes.tables import Color
from pixelwise.recipes.overrides import from_plain
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable, sha256_file, write_text

Runtime = Literal["onnx", "openvino", "torch-export", "executorch"]
SUFFIXES: dict[Runtime, str] = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2", "executorch": ".pte"}
"""How the file that a runtime opens ends."""
NAME = "model"
FORMAT = 1


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into an artefact.

    Attributes:
        name: Of the graph's input.
        dtype: `uint8`: RGB as decoded, normalisation is in the graph; `float32`: normalised as `preprocessing` says.
        layout: `NHWC` (uint8) or `NCHW` (float32).
        size: (height, width); None: any.
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
        name: Of the graph's output: `logits` or `labels`.
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
        parameters: All of them that inference uses.
        macs: Multiply-accumulates of one image of `size`.
        size: (height, width).
    """

    parameters: int
    macs: int
    size: Size


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What the weights reached in PyTorch.

    Attributes:
        miou: 0..1.
        protocol: Name of the protocol.
        split: Of the data set.
    """

    miou: float
    protocol: str
    split: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How far an artefact agrees with the network in PyTorch, on the same images.

    Attributes:
        images: How many.
        source: Which.
        equal_pixels: Share of pixels with the same class, 0..1.
        least_equal_pixels: What was asked for.
        max_difference: Largest difference of any logit; None where the artefact gives class ids only.
        logit_range: Largest minus smallest logit of PyTorch, to compare it with; None likewise.
        miou_pytorch: Mean IoU of the network under the recipe's protocol, where there were labels.
        miou_artefact: That of the artefact.
        max_miou_drop: What `miou_artefact` may be below `miou_pytorch`, 0..1; None: nothing was asked for.
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
        images: How many.
        source: Which.
        ranges: How the range of an activation followed from them.
    """

    images: int
    source: str
    ranges: str


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """SPDX identifiers, `unknown`, or `none` where there is nothing to license.

    Attributes:
        weights: Of the weights.
        code: Of the original code that the network follows.
    """

    weights: str
    code: str


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known about an artefact.

    Attributes:
        format: Version of this file; 1.
        runtime: What runs it.
        precision: Number format of the weights in it.
        recipe_name: Name of the recipe.
        recipe_hash: Of the recipe in `recipe`.
        classes: Names; the position is the class id.
        palette: One RGB colour per class.
        preprocessing: `(image / 255 - mean) / std` per channel, RGB.
        input: What goes in.
        output: What comes out.
        protocol: How the recipe evaluates.
        complexity: What it costs.
        licence: Who may use it.
        weights_sha256: SHA-256 of the weights file it was made from; empty for random weights.
        files: Name -> SHA-256 of every file beside this one that belongs to it.
        versions: Of the packages that made it.
        score: What its weights reached; None: not measured.
        verification: Against PyTorch; None: not verified.
        calibration: Of an artefact in int8; None: nothing was calibrated.
        float_layers: Layers of an artefact in int8 that compute in float.
        recipe: The recipe as nested tables.
    """

    format: int = FORMAT
    runtime: Runtime
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


def read_sidecar(artefact: Path) -> tuple[Sidecar, Path]:
    """What stands beside an artefact, after every one of its files was compared with its SHA-256.

    Args:
        artefact: The folder, its `model.toml`, or the file that a runtime opens.

    Returns:
        The content, and the file that the runtime opens.

    Raises:
        CheckpointError: K462, something is missing or differs.
    """
    path = artefact / f"{NAME}.toml" if artefact.is_dir() else artefact.with_suffix(".toml")
    if not artefact.exists():
        raise damaged(artefact, "there is no such file")
    try:
        sidecar = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Sidecar)
    except FileNotFoundError:
        raise damaged(artefact, f"{path.name} is not beside it, which says what goes in and what comes out") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.MsgspecError) as error:
        raise damaged(artefact, f"{path.name} cannot be read: {error}") from error
    if sidecar.format != FORMAT:
        raise damaged(
            artefact, f"{path.name} has format {sidecar.format}, this version of pixelwise reads format {FORMAT}"
        )
    for name, expected in sidecar.files.items():
        file = path.parent / name
        # A name from a file must not lead out of the folder.
        if Path(name).name != name:
            raise damaged(artefact, f"{path.name} names '{printable(Path(name))}', which is not a plain file name")
        if not file.is_file():
            raise damaged(artefact, f"{name} is missing")
        if (found := sha256_file(file)) != expected:
            raise damaged(artefact, f"{name} has SHA-256 {found[:12]}..., expected {expected[:12]}...")
    opened = [name for name in sidecar.files if name.endswith(SUFFIXES[sidecar.runtime])]
    if not opened:
        raise damaged(artefact, f"{path.name} names no {SUFFIXES[sidecar.runtime]} file")
    if artefact.is_file() and artefact != path and artefact.name not in sidecar.files:
        raise damaged(artefact, f"{path.name} beside it is of {', '.join(sidecar.files)}")
    return sidecar, path.parent / opened[0]


def damaged(artefact: Path, reason: str) -> CheckpointError:
    """The error for an artefact that is not what it was when it was written."""
    return CheckpointError(
        "K462", f"{printable(artefact)} cannot be used: {reason}", "export it again, or copy all of its files again"
    )


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
