"""Recipe: everything that decides what a run computes, as frozen data.

All sizes are (height, width). A recipe is plain data: it can be listed, compared, hashed, written
as TOML and read back without importing torch.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.classes import CLASS_SETS, IGNORE, Color
from pixelwise.recipes.protocols import Size, protocol
from pixelwise.recipes.specs import ModelSpec, UNetSpec

Range = tuple[float, float]


def _require(condition: bool, message: str, help: str) -> None:
    if not condition:
        raise RecipeError("R203", message, help)


def _require_at_least(least: int, field: str, value: float | None, help: str) -> None:
    _require(value is None or value >= least, f"{field} is {value}; expected {least} or more", help)


def _require_positive(field: str, value: float, help: str) -> None:
    _require(value > 0, f"{field} is {value}; expected more than 0", help)


def _require_below_one(field: str, value: float, help: str) -> None:
    _require(0 <= value < 1, f"{field} is {value}; expected 0 or more and less than 1", help)


def _require_share(field: str, value: float, help: str) -> None:
    _require(0 <= value <= 1, f"{field} is {value}; expected 0..1", help)


def _require_size(field: str, size: Size | None) -> None:
    _require(
        size is None or min(size) >= 1,
        f"{field} is {list(size or ())}; expected a height and a width of 1 or more",
        "for example [360, 480]",
    )


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the parts of a recipe: immutable, unknown fields refused."""


class Data(Part, frozen=True, kw_only=True):
    """Which images and labels.

    Attributes:
        dataset: `camvid`, `cityscapes`, `voc-aug` (Pascal VOC 2012 with SBD's masks), `ade20k` (150
            classes), `ade20k32`, `cocoseg21` (COCO 2017 as 21 VOC classes, torchvision's choice of
            images), `cocoseg21-edgeai` (TI's), `folder` (own data), `town` (synthetic), or `auto`: look
            at the folder and take the layout that fits.
        classes: Class names in the order of their ids; None takes the data set's own, or for
            `folder` what its `dataset.toml` or the masks themselves say.
        palette: One RGB colour (0..255) per class for overlays and masks.
        label_map: Raw mask value (as text, TOML keys are text) -> class id or 255 (ignored).
        colors: `#rrggbb` -> class id or 255, for masks that are RGB pictures.
        train_split: The split that is trained on.
        exif: Whether the EXIF orientation of images is applied (masks carry none).
        alpha: What transparent pixels become: `drop` keeps their RGB, `black` blends onto black.
        input_range: Values that become 0 and 255 for images with more than 8 bits per channel.
        max_pixels: Larger images are refused before they are decoded.
        mask_resize: `nearest` resizes a mask of another size than its image; `refuse` is an error.
        cache: Keep decoded images in memory: `auto` when they fit a quarter of the free memory.
        workers: Data loading processes; None: 0 on CPU, up to 8 on a GPU.
        allow: Codes of data errors that do not stop training.
        town_images: Number of synthetic images per split (train, val, test), for `town`.
        town_size: Their size.
        town_seed: Seed of the synthetic scenes.
    """

    dataset: Literal[
        "auto", "camvid", "cityscapes", "voc-aug", "ade20k", "ade20k32", "cocoseg21", "cocoseg21-edgeai", "folder",
        "town",
    ] = "auto"  # fmt: skip
    classes: tuple[str, ...] | None = None
    palette: tuple[Color, ...] | None = None
    label_map: dict[str, int] | None = None
    colors: dict[str, int] | None = None
    train_split: str = "train"
    exif: Literal["apply", "ignore"] = "apply"
    alpha: Literal["drop", "black"] = "drop"
    input_range: Range | None = None
    max_pixels: int = 100_000_000
    mask_resize: Literal["refuse", "nearest"] = "refuse"
    cache: Literal["auto", "memory", "off"] = "auto"
    workers: int | None = None
    allow: tuple[str, ...] = ()
    town_images: tuple[int, int, int] = (240, 40, 60)
    town_size: Size = (144, 192)
    town_seed: int = 0

    def __post_init__(self) -> None:
        if self.classes is not None and self.palette is not None:
            _require(
                len(self.classes) == len(self.palette),
                f"data.palette has {len(self.palette)} colours for {len(self.classes)} classes",
                "give one colour per class",
            )
        _require_at_least(1, "data.max_pixels", self.max_pixels, "for example 100000000")
        _require_at_least(0, "data.workers", self.workers, "0 loads in the main process")
        if self.input_range is not None:
            low, high = self.input_range
            _require(
                low < high,
                f"data.input_range is {[low, high]}; expected the lower value first",
                "for example [0, 65535]",
            )
        _require(
            min(self.town_images) >= 1,
            f"data.town_images is {list(self.town_images)}; expected 1 or more for each of train, val and test",
            "for example [240, 40, 60]",
        )
        _require_size("data.town_size", self.town_size)
        _require_at_least(0, "data.town_seed", self.town_seed, "for example 0")

    def class_names(self) -> tuple[str, ...] | None:
        """The class names as far as they are known without looking at the data."""
        if self.classes is not None:
            return self.classes
        known = CLASS_SETS.get(self.dataset)
        return known.names if known else None


class Augment(Part, frozen=True, kw_only=True):
    """What happens to an image-label pair before it enters a training batch, in this order.

    Attributes:
        resize: Fixed size every pair is brought to first (image bilinear, labels nearest).
        scale: Range of the random zoom, drawn log-uniformly.
        aspect: Random change of the aspect ratio by up to this share, 0.1 = up to 10 %.
        crop: Size of the random crop; smaller pairs are padded (image 0, labels ignored).
        class_crop: Share of crops that are centred on a pixel of a class drawn uniformly from
            those present, so that rare classes are seen.
        flip: Probability of a horizontal flip.
        brightness: Factor drawn from 1 - brightness .. 1 + brightness.
        contrast: Likewise, around mid-grey.
        saturation: Likewise, towards grey.
        channel_gain: Likewise, per colour channel.
    """

    resize: Size | None = None
    scale: Range | None = None
    aspect: float = 0.0
    crop: Size | None = None
    class_crop: float = 0.0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    channel_gain: float = 0.0

    def __post_init__(self) -> None:
        for name in ("class_crop", "flip"):
            _require_share(f"augment.{name}", getattr(self, name), "it is a probability")
        for name in ("brightness", "contrast", "saturation", "channel_gain", "aspect"):
            _require_below_one(f"augment.{name}", getattr(self, name), "1 would erase the image")
        _require_size("augment.resize", self.resize)
        _require_size("augment.crop", self.crop)
        if self.scale is not None:
            _require(
                0 < self.scale[0] <= self.scale[1],
                f"augment.scale is {list(self.scale)}; expected 0 < smallest <= largest",
                "for example [0.5, 2.0]",
            )
        _require(
            self.crop is not None or (self.scale is None and not self.aspect and not self.class_crop),
            "augment.scale, aspect and class_crop change image sizes but augment.crop is not set",
            "set augment.crop to the size of the training batches, for example [360, 480]",
        )


class Loss(Part, frozen=True, kw_only=True):
    """Cross entropy over labelled pixels, plus optional terms.

    Attributes:
        class_weights: `none`; `enet`: 1 / ln(1.02 + p) with p the share of all pixels, void
            included (arXiv:1606.02147); `median-frequency`: median frequency / frequency, where a
            frequency counts only images that hold the class (Eigen and Fergus, arXiv:1411.4734);
            `inverse-sqrt`: 1 / sqrt(p), at most 6 times the smallest, mean 1.
        label_smoothing: Share of the target spread over all classes.
        dice: Weight of a soft Dice term added to the cross entropy.
        auxiliary: Weight of each auxiliary head's cross entropy.
    """

    class_weights: Literal["none", "enet", "median-frequency", "inverse-sqrt"] = "none"
    label_smoothing: float = 0.0
    dice: float = 0.0
    auxiliary: float = 0.4

    def __post_init__(self) -> None:
        _require_below_one("loss.label_smoothing", self.label_smoothing, "0 is off; 1 would erase the labels")
        _require_at_least(0, "loss.dice", self.dice, "it is a weight; 0 is off")
        _require_at_least(0, "loss.auxiliary", self.auxiliary, "it is a weight; 0 is off")


class Optimizer(Part, frozen=True, kw_only=True):
    """Optimizer and its settings.

    Attributes:
        kind: `sgd` (with momentum), `adam` (weight decay coupled, as L2) or `adamw` (decoupled).
        lr: Base learning rate.
        momentum: For `sgd`.
        betas: For `adam` and `adamw`.
        weight_decay: Of all parameters, or of weights with two or more dimensions only, see next.
        decay_all: Whether biases, normalisation and activation slopes decay too.
        clip_norm: Largest L2 norm of the gradient; None: no clipping.
    """

    kind: Literal["sgd", "adam", "adamw"] = "adamw"
    lr: float
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    decay_all: bool = False
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        _require_positive("optimizer.lr", self.lr, "for example 0.001")
        if self.clip_norm is not None:
            _require_positive("optimizer.clip_norm", self.clip_norm, "leave it out for no clipping")
        _require_below_one("optimizer.momentum", self.momentum, "for example 0.9; 0 is off")
        _require(
            all(0 <= beta < 1 for beta in self.betas),
            f"optimizer.betas is {list(self.betas)}; expected two numbers of 0 or more and less than 1",
            "for example [0.9, 0.999]",
        )
        _require_at_least(0, "optimizer.weight_decay", self.weight_decay, "for example 0.0002; 0 is off")


class Schedule(Part, frozen=True, kw_only=True):
    """Length of training and the learning rate's course.

    Attributes:
        epochs: Passes over the training split; exactly one of `epochs` and `iterations` is set.
        iterations: Optimizer steps.
        kind: `constant`; `step`: times `gamma` every `step_epochs`; `poly`: (1 - t)^power;
            `cosine`: half a cosine; t runs from 0 to 1 after the warm-up.
        step_epochs: For `step`.
        gamma: For `step`.
        power: For `poly`.
        min_lr_ratio: `poly` and `cosine` end at this share of the base rate.
        warmup_iterations: Linear rise at the start.
        warmup_ratio: Share of the base rate at which the rise starts.
    """

    epochs: int | None = None
    iterations: int | None = None
    kind: Literal["constant", "step", "poly", "cosine"] = "poly"
    step_epochs: int = 100
    gamma: float = 0.1
    power: float = 0.9
    min_lr_ratio: float = 0.0
    warmup_iterations: int = 0
    warmup_ratio: float = 0.0

    def __post_init__(self) -> None:
        _require(
            (self.epochs is None) != (self.iterations is None),
            f"schedule.epochs is {self.epochs} and schedule.iterations is {self.iterations}; "
            "expected exactly one of them",
            "give the length of training once, for example schedule.epochs=100",
        )
        length = self.epochs if self.epochs is not None else self.iterations
        name = "schedule.epochs" if self.epochs is not None else "schedule.iterations"
        _require_at_least(1, name, length, "for example 100")
        _require_at_least(1, "schedule.step_epochs", self.step_epochs, "for example 100")
        _require_positive("schedule.gamma", self.gamma, "it multiplies the learning rate, for example 0.1")
        _require_positive("schedule.power", self.power, "for example 0.9")
        _require_share("schedule.min_lr_ratio", self.min_lr_ratio, "it is a share of optimizer.lr")
        _require_share("schedule.warmup_ratio", self.warmup_ratio, "it is a share of optimizer.lr")
        _require_at_least(0, "schedule.warmup_iterations", self.warmup_iterations, "0 is no warm-up")


class Ema(Part, frozen=True, kw_only=True):
    """Exponential moving average of the weights, which is what gets evaluated and saved as result.

    Attributes:
        decay: After t steps the average keeps min(decay, (1 + t) / (10 + t)) of itself.
        ramp: If set, it keeps decay * (1 - exp(-t / ramp)) instead.
    """

    decay: float = 0.999
    ramp: float | None = None

    def __post_init__(self) -> None:
        _require(0 < self.decay < 1, f"ema.decay is {self.decay}; expected 0..1", "for example 0.999")
        if self.ramp is not None:
            _require_positive("ema.ramp", self.ramp, "a number of steps, for example 2000")


class Precision(Part, frozen=True, kw_only=True):
    """Number formats and memory layout; none of them changes what is computed beyond rounding.

    Attributes:
        dtype: `float32`, or `bfloat16` autocast (on CPU not reproducible from run to run).
        channels_last: Keep activations in NHWC layout.
        compile: Compile the network with `torch.compile`.
    """

    dtype: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    compile: bool = False


class Sampling(Part, frozen=True, kw_only=True):
    """How batches are drawn. The order is a pure function of (seed, epoch, index).

    Attributes:
        batch_size: Images per forward pass.
        accumulate: Forward passes per optimizer step; the effective batch is the product.
        drop_last: Drop an incomplete last batch. A last batch of a single image is dropped anyway
            (and said so): batch normalisation cannot learn from it.
        seed: Of initial weights, order, augmentation and dropout.
    """

    batch_size: int
    accumulate: int = 1
    drop_last: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _require_at_least(1, "sampling.batch_size", self.batch_size, "for example 8")
        _require_at_least(1, "sampling.accumulate", self.accumulate, "1 steps after every batch")
        _require_at_least(0, "sampling.seed", self.seed, "for example 0")


class Selection(Part, frozen=True, kw_only=True):
    """Which weights are the result of the run.

    Attributes:
        weights: `best` mIoU on `split`, or the `last` ones.
        split: The split that is evaluated during training.
        every_epochs: Evaluate after every so many epochs; 0: never.
        protocol: Named protocol of these evaluations; None: the recipe's first.
    """

    weights: Literal["best", "last"] = "last"
    split: str = "val"
    every_epochs: int = 0
    protocol: str | None = None

    def __post_init__(self) -> None:
        _require_at_least(0, "selection.every_epochs", self.every_epochs, "0 never evaluates during training")
        _require(
            self.weights == "last" or self.every_epochs > 0,
            "selection.weights is 'best' but selection.every_epochs is 0: nothing is ever compared",
            "set selection.every_epochs=1, or selection.weights=last",
        )
        if self.protocol is not None:
            protocol(self.protocol)


class Checkpoints(Part, frozen=True, kw_only=True):
    """When the state of a run is saved. Saving changes no result.

    Attributes:
        every_minutes: Save when so many minutes have passed since the last save.
        every_steps: Save after every so many optimizer steps; None: by time only.
        keep: How many of the newest to keep, besides the best one.
    """

    every_minutes: float = 5.0
    every_steps: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        _require(
            self.keep >= 2,
            f"checkpoints.keep is {self.keep}; expected 2 or more",
            "the newest one may be damaged while it is being written; keep one before it",
        )
        _require_positive("checkpoints.every_minutes", self.every_minutes, "for example 5")
        _require_at_least(1, "checkpoints.every_steps", self.every_steps, "none saves by time only")


class Evaluation(Part, frozen=True, kw_only=True):
    """How the result of the run is scored.

    Attributes:
        protocols: Names of protocols; the first one is the headline.
        split: The split that is scored.
        input_size: Size the network sees where the protocol leaves it open; None: the image's own.
        batch_size: Images of equal size per forward pass.
    """

    protocols: tuple[str, ...] = ("native",)
    split: str = "test"
    input_size: Size | None = None
    batch_size: int = 1

    def __post_init__(self) -> None:
        _require(bool(self.protocols), "evaluation.protocols is empty", "name at least one protocol")
        for name in self.protocols:
            protocol(name)
        _require_size("evaluation.input_size", self.input_size)
        _require_at_least(1, "evaluation.batch_size", self.batch_size, "for example 1")


class Original(Part, frozen=True, kw_only=True):
    """What the original implementation counts: the facts that a network is verified against.

    Attributes:
        outputs: Number of outputs it was counted with.
        parameters: Their number, auxiliary heads included; as text with the digits that are known,
            `2428976` or `40.067M`.
        gmacs: Multiply-accumulates of inference, 10^9; None where unknown.
        size: (height, width) of the image it was counted at.
        tolerance: Largest relative difference of the GMACs that is not another network.
        note: Why the page prints something else, or what is not known.
    """

    outputs: int
    parameters: str
    gmacs: float | None = None
    size: Size
    tolerance: float = 0.001
    note: str = ""


class Published(Part, frozen=True, kw_only=True):
    """The published result that a recipe reproduces. Never overwritten by measurements.

    Attributes:
        page: Id of the published page.
        title: What the page is.
        source: Code base and revision.
        miou_percent: The page's number; None where the page leaves it out.
        split: The split it was measured on.
        protocol: Named protocol that computes it the page's way.
        gpu_memory_gib: As printed, where printed.
        train_hours: As printed, where printed.
        gmacs: As printed, where printed.
        original: What the original implementation really counts.
        note: What a reader has to know about the number.
        code_licence: SPDX identifier.
        weights_licence: SPDX identifier, or `unknown`.
    """

    page: str
    title: str
    source: str
    miou_percent: float | None = None
    split: str
    protocol: str
    gpu_memory_gib: float | None = None
    train_hours: float | None = None
    gmacs: float | None = None
    original: Original | None = None
    note: str = ""
    code_licence: str = "unknown"
    weights_licence: str = "unknown"


class Initialize(Part, frozen=True, kw_only=True):
    """Where the weights come from before the first step.

    Attributes:
        encoder: Pretrained weights of the encoder: timm's name with its tag (`resnet50c.gluon_in1k`), or a
            model of the Hugging Face hub (`nvidia/mit-b0`); `none`: random.
        licence: Of these weights, as their publisher states it.
        original: What the authors of the published row began with, where that is something else.
    """

    encoder: str = "none"
    licence: str = ""
    original: str = ""


class Recipe(Part, frozen=True, kw_only=True):
    """A complete, resolved description of one run.

    Attributes:
        name: Unique name; for a published row the id in the published table.
        summary: One line.
        quantization: `edgeai-8bit`: trained with 8-bit weights and activations (symmetric, per tensor,
            power-of-two scales), from the float recipe's result.
        notes: Deviations and remarks.
    """

    name: str
    summary: str = ""
    model: ModelSpec
    data: Data = Data()
    augment: Augment = Augment()
    loss: Loss = Loss()
    optimizer: Optimizer
    schedule: Schedule
    sampling: Sampling
    ema: Ema | None = None
    precision: Precision = Precision()
    initialize: Initialize = Initialize()
    selection: Selection = Selection()
    checkpoints: Checkpoints = Checkpoints()
    evaluation: Evaluation = Evaluation()
    quantization: Literal["none", "edgeai-8bit"] = "none"
    published: Published | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.model, UNetSpec) and self.augment.crop is not None:
            smallest = min(self.augment.crop)
            _require(
                smallest >= 32,
                f"augment.crop is {list(self.augment.crop)}; a U-Net's encoder needs at least 32 pixels",
                "make the crop larger",
            )
        if self.data.label_map is not None and self.data.classes is not None:
            for raw, class_id in self.data.label_map.items():
                _require(
                    raw.lstrip("-").isdigit() and (class_id == IGNORE or 0 <= class_id < len(self.data.classes)),
                    f"data.label_map maps '{raw}' to {class_id}; expected a number to "
                    f"0..{len(self.data.classes) - 1} or {IGNORE}",
                    "map every raw value to a class id, or to 255 to ignore it",
                )

    def hash(self) -> str:
        """SHA-256, hexadecimal, of the canonical JSON form of what decides the result.

        Left out are texts, what was published, data loading, checkpoints, colours of overlays, fields that
        have their default (so a new field changes no hash), and what a run fills in about a known data set:
        training an unmodified recipe keeps its hash.
        """
        import hashlib  # 6 ms that listing recipes does not need

        return hashlib.sha256(msgspec.json.encode(_deciding(self), order="sorted")).hexdigest()


def to_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dicts, lists and scalars, without unset (None) values: what TOML holds."""

    def prune(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: prune(item) for key, item in value.items() if item is not None}
        return [prune(item) for item in value] if isinstance(value, (list, tuple)) else value

    return prune(msgspec.to_builtins(recipe))


def _deciding(recipe: Recipe) -> dict[str, Any]:
    """The plain recipe without what changes no result or only repeats defaults or what the data set implies."""
    plain = _without_defaults(recipe)
    for field in ("checkpoints", "summary", "notes", "published"):
        plain.pop(field, None)
    if "initialize" in plain:
        plain["initialize"] = recipe.initialize.encoder
    data = plain.setdefault("data", {})
    for field in ("workers", "cache", "palette"):
        data.pop(field, None)
    known = CLASS_SETS.get(recipe.data.dataset)
    if known is None:
        return plain
    implied = {
        "classes": list(known.names),
        "label_map": {str(raw): class_id for raw, class_id in known.label_table.items()},
        "colors": known.color_table(),
    }
    plain["data"] = {field: value for field, value in data.items() if implied.get(field) != value}
    return plain


def _without_defaults(part: msgspec.Struct) -> dict[str, Any]:
    plain = {}
    for field in msgspec.structs.fields(part):
        value = getattr(part, field.name)
        if value != field.default:
            if isinstance(value, msgspec.Struct):
                plain[field.name] = _without_defaults(value)
            else:
                plain[field.name] = list(value) if isinstance(value, tuple) else msgspec.to_builtins(value)
    if part.__struct_config__.tag is not None:
        plain["family"] = part.__struct_config__.tag
    return plain
