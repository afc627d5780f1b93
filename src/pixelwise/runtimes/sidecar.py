"""`model.toml`: the description beside the files of an exported network.

It holds in plain text what a program needs to run the artefact correctly (everything between an image and its mask,
classes and their colours) and what tells the quality and origin of the network: the weights' hash, the score with its
protocol, the agreement of the artefact with PyTorch, the licences, and the SHA-256 of every file. Everything but that
agreement and those hashes is also in the file itself if its format has room for it, so that the file alone is enough.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec import Meta

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.recipes.overrides import from_plain
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.environment import Licence
from pixelwise.runtimes.inference import MOST_PIXELS, Inference, Scoring, Sides, require
from pixelwise.storage import printable, sha256_bytes, write_text

NAME = "model"
"""Name of an artefact's files, without their suffixes."""
DESCRIPTION = f"{NAME}.toml"
FORMAT = 2
READABLE = (1, 2)
"""Versions of the description that can be read; in version 1 the recipe alone says how images are prepared."""
METADATA = "pixelwise."
"""Prefix of the keys in a file's own metadata."""
ONLY_BESIDE = ("files", "verification", "unverified")
"""Fields that are known only once the file is written, so that the file itself cannot hold them."""


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
    size: Sides | None = None
    batch: Annotated[int, Meta(ge=1, le=65536)] | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Output of an artefact.

    Attributes:
        name: Name of the graph's output: `logits` or `labels`.
        dtype: `float32` for logits (B, K, h, w), `uint8` for class ids (B, h, w).
        stride: h and w are the image's sides divided by this stride, rounded up.
        align_corners: Value of `align_corners` for bilinear upsampling of logits or scores to the image's size.
        head_stride: Stride of the network's own logits; None: not recorded, as by older versions.
        scores: Meaning of the output `logits`: `logits`, whose softmax (or sigmoid, if multi-label) are probabilities;
            `probabilities`: scores of 0 or more, of which a class's probability is its part of their sum.
    """

    name: Literal["logits", "labels"]
    dtype: Literal["float32", "uint8"]
    stride: Annotated[int, Meta(ge=1, le=4096)]
    align_corners: bool
    head_stride: Annotated[int, Meta(ge=1, le=4096)] | None = None
    scores: Literal["logits", "probabilities"] = "logits"

    @property
    def enlarged_to(self) -> int | None:
        """Stride to which the graph has enlarged the network's logits; None: it has not, or it is not known."""
        return None if self.head_stride is None or self.stride >= self.head_stride else self.stride


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


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `model.toml`.

    Attributes:
        format: Version of this file; 2.
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
        inference: Everything between an image file and its mask; None in version 1, which leaves it to the recipe.
        protocol: Name of the recipe's first evaluation protocol.
        scoring: How the network was scored; None in version 1.
        complexity: Parameters and multiply-accumulates of the network.
        licence: Licences of the weights and of the code, and the networks that the weights were derived from.
        weights_sha256: SHA-256 of the weights file that was exported; empty for random weights.
        files: Name -> SHA-256 of every other file of the artefact, of a folder as `sha256_folder` says; empty in the
            file itself.
        versions: Versions of the packages that wrote it.
        score: Score of the weights in PyTorch; None: not measured.
        verification: Agreement with PyTorch; None: not verified.
        unverified: Why it was not compared with PyTorch; empty if it was.
        calibration: Calibration of an int8 artefact; None: nothing was calibrated.
        float_layers: Layers of an int8 artefact that compute in float.
        recipe: The resolved recipe as nested tables, for the record: nothing but the data set of an evaluation is
            read from it.
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
    inference: Inference | None = None
    protocol: str
    scoring: Scoring | None = None
    complexity: Complexity
    licence: Licence
    weights_sha256: str
    files: dict[str, str] = {}
    versions: dict[str, str]
    score: Score | None = None
    verification: Verification | None = None
    unverified: str = ""
    calibration: Calibration | None = None
    float_layers: tuple[str, ...] = ()
    recipe: dict[str, Any]

    def __post_init__(self) -> None:
        require(len(self.classes) > 0, "there are no classes")
        require(len(self.palette) == len(self.classes), f"{len(self.palette)} colours, {len(self.classes)} classes")
        require(all(0 <= part <= 255 for color in self.palette for part in color), "a colour is outside 0..255")
        mean, std = self.preprocessing.mean, self.preprocessing.std
        require(all(map(math.isfinite, (*mean, *std))) and all(value > 0 for value in std), "`std` is not above 0")
        only = self.input.size
        require(only is None or only[0] * only[1] <= MOST_PIXELS, "the input has too many pixels")
        require(self.input.layout == {"uint8": "NHWC", "float32": "NCHW"}[self.input.dtype], "dtype and layout")
        require(self.output.dtype == {"labels": "uint8", "logits": "float32"}[self.output.name], "output and dtype")
        require(all(re.fullmatch(r"[0-9a-f]{64}", found) for found in self.files.values()), "a SHA-256 is not one")
        if self.inference is not None:
            self._check_inference(self.inference)

    def _check_inference(self, inference: Inference) -> None:
        require(
            inference.channels is None or len(inference.channels) == self.preprocessing.in_channels,
            "`channels` and `mean` have different lengths",
        )
        require(
            inference.resize != "exact" or inference.size == self.input.size,
            "`size` of resize=exact is not the only size of the input",
        )
        require(not inference.multilabel or self.output.name == "logits", "class ids cannot be multi-label")

    @property
    def files_sha256(self) -> str:
        """SHA-256 of a single file, or of the concatenated hashes of several files."""
        hashes = list(self.files.values())
        return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())

    @property
    def multilabel(self) -> bool:
        """Whether a pixel may belong to several classes."""
        if self.inference is not None:
            return self.inference.multilabel
        return self.recipe.get("data", {}).get("multilabel") is True

    def data_section(self, where: Path) -> Data:
        """The data set section of the recipe, for an evaluation; the other sections may be of missing packages.

        Args:
            where: The artefact's file, for error messages.

        Raises:
            CheckpointError: K462, it is not such a section.
        """
        try:
            return msgspec.convert(self.recipe.get("data", {}), Data)
        except (msgspec.MsgspecError, RecipeError) as error:
            raise CheckpointError(
                "K462",
                f"{printable(where)}: `recipe.data` of its description cannot be read: {reason_of(error)}",
                "export it again; `pixelwise predict` does not need that section",
            ) from error

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
    text = tomli_w.dumps(plain_sidecar(sidecar))
    # Lists of numbers (a palette has hundreds) go on one line each.
    numbers = re.compile(r"\[\s+((?:[-+.e\d]+,\s*)+)\]")
    write_text(path, numbers.sub(lambda found: f"[{' '.join(found[1].split()).removesuffix(',')}]", text))


def plain_sidecar(sidecar: Sidecar) -> dict[str, Any]:
    """The description as nested dicts and lists, without the fields that are None."""
    return _without_none(msgspec.to_builtins(sidecar))


def to_metadata(sidecar: Sidecar) -> dict[str, str]:
    """The description as the file itself holds it: `pixelwise.` and the name of each field -> its value as JSON."""
    plain = {key: value for key, value in plain_sidecar(sidecar).items() if key not in ONLY_BESIDE}
    return {METADATA + key: msgspec.json.encode(value).decode() for key, value in plain.items()}


def from_metadata(properties: Mapping[str, str]) -> dict[str, Any]:
    """The description in a file's metadata as nested dicts and lists; empty if there is none.

    Raises:
        msgspec.DecodeError: A value is not JSON.
    """
    own = {key.removeprefix(METADATA): text for key, text in properties.items() if key.startswith(METADATA)}
    return {key: msgspec.json.decode(text) for key, text in own.items() if key not in ONLY_BESIDE}


def reason_of(error: Exception) -> str:
    """What is wrong with a value, on one line, from the error of reading it."""
    cause = error if isinstance(error, RecipeError) else error.__cause__
    return " ".join((cause.message if isinstance(cause, RecipeError) else str(error)).split())


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
