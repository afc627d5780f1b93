"""Recipe: everything that decides what a run computes, as frozen data.

All sizes are (height, width). A recipe is plain data: it can be listed, compared, hashed, written
as TOML and read back without importing torch.
"""

from __future__ import annotations

import itertools
import math
import re
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
            images), `cocoseg21-edgeai` (TI's), `cocostuff171`, `camvid32` (the original's labels), `town`
            (synthetic); of own data `folder`, `lists`, and annotations of `labelme`, `coco` (any
            categories), `yolo`, `cvat`, `cvat-masks` and `label-studio`; or `auto`: look at the folder and
            take the layout that fits.
        classes: Class names in the order of their ids; None takes the data set's own, or for
            `folder` what its `dataset.toml` or the masks themselves say.
        palette: One RGB colour (0..255) per class for overlays and masks.
        label_map: Raw mask value (as text, TOML keys are text) -> class id or 255 (ignored).
        colors: `#rrggbb` -> class id or 255, for masks that are RGB pictures.
        labels: Label name -> class id or 255, for annotations that name their labels.
        mask_threshold: Reads masks as black and white: values from here on (1..255) are 1, others 0.
        instance_divisor: For masks that hold class * divisor + instance: values from the divisor on
            are divided by it, smaller ones are classes already (Cityscapes: 1000).
        channels: Which channels of an image the network gets, in which order, counted from 0; None
            reads every image as RGB. For TIFF files and NumPy arrays with any number of bands.
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
        "auto", "camvid", "cityscapes", "voc-aug", "ade20k", "ade20k32", "cocoseg21", "cocoseg21-edgeai",
        "cocostuff171", "camvid32", "folder", "lists", "labelme", "coco", "yolo", "cvat", "cvat-masks", "label-studio",
        "town",
    ] = "auto"  # fmt: skip
    classes: tuple[str, ...] | None = None
    palette: tuple[Color, ...] | None = None
    label_map: dict[str, int] | None = None
    colors: dict[str, int] | None = None
    labels: dict[str, int] | None = None
    mask_threshold: int | None = None
    instance_divisor: int | None = None
    channels: tuple[int, ...] | None = None
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
        for label, class_id in (self.labels or {}).items():
            largest = len(self.classes) - 1 if self.classes is not None else IGNORE
            _require(
                class_id == IGNORE or 0 <= class_id <= largest,
                f"data.labels maps '{label}' to {class_id}; expected 0..{largest} or {IGNORE}",
                "map every label to a class id, or to 255 to ignore it",
            )
        _require(
            self.mask_threshold is None or 1 <= self.mask_threshold <= 255,
            f"data.mask_threshold is {self.mask_threshold}; expected 1..255",
            "for example 128",
        )
        _require_at_least(2, "data.instance_divisor", self.instance_divisor, "for example 1000")
        _require(
            self.channels is None or (len(self.channels) > 0 and min(self.channels) >= 0),
            f"data.channels is {list(self.channels or ())}; expected channels counted from 0",
            "for example [3, 2, 1] for the fourth, third and second band",
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
    """What happens to an image-label pair before it enters a training batch.

    The order: resize; turn; zoom, crop and flip as one step that computes only the crop; pad; translate;
    photometric and brightness_shift; then, for the batch, mix; then brightness, contrast, saturation and
    channel_gain as one matrix. Labels are always resampled by nearest neighbour.

    Attributes:
        resize: Fixed size every pair is brought to first (image bilinear, labels nearest).
        fit: The size that the zoom starts from; None: the image's own. Unlike `resize`, nothing is resampled
            for it alone: `fit` times the zoom is one step from the original pixels.
        fit_by: `inside`: the image's own proportions, its shorter side at most the smaller number of `fit`, its
            longer side at most the larger one, whichever way it lies (so for an upright image `fit` is
            transposed); `stretch`: exactly `fit`, proportions change, and a zoomed pair is first cropped back
            to `fit` at a random place; `short-side`: its own proportions, the shorter side is the smaller number.
        scale: Range of the random zoom.
        scale_law: Its distribution: `log-uniform`; `uniform`; `reciprocal`: 1 / zoom is uniform, as where the
            size of the cropped box is drawn; `two-sided`: uniform below 1 or uniform above 1, one half each;
            `steps`: smallest, smallest + `scale_step`, ... up to the largest, all alike.
        scale_step: For `steps`.
        scale_probability: Probability that a pair is zoomed at all.
        scale_axes: `together`, or `independent`: height and width are zoomed by a factor each.
        aspect: Random change of the aspect ratio by up to this share, 0.1 = up to 10 %.
        rotate: Turned by an angle drawn uniformly from -rotate .. rotate degrees, about the centre.
        rotate_probability: Probability that a pair is turned at all.
        rotate_label: Label of the corners that turning brings in from outside: 255 ignores them, TI EdgeAI's
            code calls them class 0.
        crop: Size of the random crop; smaller pairs are padded (see `pad`).
        class_crop: Share of crops that are centred on a pixel of a class drawn uniformly from
            those present, so that rare classes are seen.
        max_class_share: The crop's place is drawn again, up to ten draws in all of which the last one stays,
            until it holds two classes or more and none has this share of its labelled pixels; None: one draw.
        pad: Where a pair that is smaller than the crop lies in it: `random`; `center`; `end`: padded at the
            bottom and on the right; `end-then-flip`: likewise, but before the flip, so that flipped pairs are
            padded on the left (TensorFlow DeepLab).
        fill: What is padded, turned and moved in: `black`, before photometric and brightness_shift; `mean`, the
            network's mean colour rounded to whole values, after them: 0 after normalisation. Labels become 255.
        resampling: How zoomed pixels are computed: `warp`: one bilinear map, any zoom and place, edges blend
            with the fill; `bilinear`: like resizing to whole pixels with OpenCV's bilinear filter (no
            antialiasing) and cropping at whole pixels; `antialiased`: likewise, with Pillow's bilinear filter,
            which widens when it shrinks (that of torchvision, close to OpenCV's INTER_AREA).
        flip: Probability of a horizontal flip.
        translate: Moved by a whole number of pixels from -translate .. translate, drawn for each axis.
        photometric: Distortion of uint8 colours, clipped after each step: brightness by -32..32, contrast by
            0.5..1.5 before or after saturation by 0.5..1.5 and hue by 18 of 180 steps. `mmseg`: each with
            probability 1/2; `united-perception`: each with probability 2/3, and in a third of the images
            no contrast at all.
        brightness_shift: With probability 1/2 a whole number from -shift .. shift is added to all values.
        mix: `cutmix`: a random rectangle of half the area is replaced by that of the next pair of the batch
            (Yun et al., arXiv:1905.04899, as French et al., arXiv:1906.01916, do for segmentation);
            `classmix`: half of the classes of the next pair are pasted (Olsson et al., arXiv:2007.07936).
        mix_probability: Share of the pairs that are mixed, where `mix` is set.
        brightness: Factor drawn from 1 - brightness .. 1 + brightness.
        contrast: Likewise, around mid-grey.
        saturation: Likewise, towards grey.
        channel_gain: Likewise, per colour channel.
    """

    resize: Size | None = None
    fit: Size | None = None
    fit_by: Literal["inside", "stretch", "short-side"] = "inside"
    scale: Range | None = None
    scale_law: Literal["log-uniform", "uniform", "reciprocal", "two-sided", "steps"] = "log-uniform"
    scale_step: float = 0.25
    scale_probability: float = 1.0
    scale_axes: Literal["together", "independent"] = "together"
    aspect: float = 0.0
    rotate: float = 0.0
    rotate_probability: float = 1.0
    rotate_label: int = IGNORE
    crop: Size | None = None
    class_crop: float = 0.0
    max_class_share: float | None = None
    pad: Literal["random", "center", "end", "end-then-flip"] = "random"
    fill: Literal["black", "mean"] = "black"
    resampling: Literal["warp", "bilinear", "antialiased"] = "warp"
    flip: float = 0.0
    translate: int = 0
    photometric: Literal["none", "mmseg", "united-perception"] = "none"
    brightness_shift: int = 0
    mix: Literal["none", "cutmix", "classmix"] = "none"
    mix_probability: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    channel_gain: float = 0.0

    def __post_init__(self) -> None:
        for name in ("class_crop", "flip", "scale_probability", "rotate_probability", "mix_probability"):
            _require_share(f"augment.{name}", getattr(self, name), "it is a probability")
        for name in ("brightness", "contrast", "saturation", "channel_gain", "aspect"):
            _require_below_one(f"augment.{name}", getattr(self, name), "1 would erase the image")
        for name in ("resize", "fit", "crop"):
            _require_size(f"augment.{name}", getattr(self, name))
        for name, largest in (("rotate", 180), ("rotate_label", 255), ("brightness_shift", 255)):
            value = getattr(self, name)
            _require(0 <= value <= largest, f"augment.{name} is {value}; expected 0..{largest}", "0 is the least")
        _require_at_least(0, "augment.translate", self.translate, "it is a number of pixels")
        _require(
            self.max_class_share is None or 0 < self.max_class_share <= 1,
            f"augment.max_class_share is {self.max_class_share}; expected more than 0 and at most 1",
            "for example 0.75",
        )
        _require(
            self.rotate_label == IGNORE or self.resampling != "warp",
            "augment.rotate_label is set but augment.resampling=warp pads and turns in one step",
            "set augment.resampling to bilinear or antialiased",
        )
        self._require_scale()
        uncropped = (self.scale, self.fit, self.max_class_share) == (None, None, None)
        _require(
            self.crop is not None or (uncropped and not self.aspect and not self.class_crop and not self.rotate),
            "augment.scale, aspect, class_crop, fit, rotate and max_class_share are parts of cropping but "
            "augment.crop is not set",
            "set augment.crop to the size of the training batches, for example [360, 480]",
        )

    def _require_scale(self) -> None:
        _require_positive("augment.scale_step", self.scale_step, "for example 0.25")
        if self.scale is None:
            return
        low, high = self.scale
        _require(
            0 < low <= high,
            f"augment.scale is {[low, high]}; expected 0 < smallest <= largest",
            "for example [0.5, 2.0]",
        )
        _require(
            self.scale_law != "two-sided" or low <= 1 <= high,
            f"augment.scale is {[low, high]}; augment.scale_law=two-sided expects smallest <= 1 <= largest",
            "for example [0.5, 2.0]",
        )


class Ohem(Part, frozen=True, kw_only=True):
    """Online hard example mining: cross entropy over the pixels that are still difficult.

    A pixel counts when the probability of its class is at most `threshold`. Where fewer than `min_kept` do, the
    `min_kept` pixels of the lowest probabilities count; where fewer are labelled, all of them.

    Attributes:
        threshold: Probability of its own class from which on a pixel is easy.
        min_kept: Number of pixels of a batch (of one forward pass); below 1 it is the share of the batch's
            pixels, ignored ones included, and then means the same for every crop and batch size.
        auxiliary: Whether each auxiliary head chooses its hard pixels, too, or counts all.
    """

    threshold: float = 0.9
    min_kept: int | float = 100_000
    auxiliary: bool = True

    def __post_init__(self) -> None:
        _require_share("loss.ohem.threshold", self.threshold, "it is a probability, for example 0.9")
        _require(
            self.min_kept >= 0 and (self.min_kept < 1 or float(self.min_kept).is_integer()),
            f"loss.ohem.min_kept is {self.min_kept}; expected a whole number of pixels, or a share below 1",
            "for example 100000, or 0.05 for 5 % of the batch's pixels",
        )


ClassWeights = (
    Literal[
        "none", "enet", "median-frequency", "inverse-sqrt", "edgeai-cityscapes", "edgeai-ade20k32", "erfnet-encoder",
        "erfnet-decoder",
    ]
    | tuple[float, ...]
)  # fmt: skip


class Loss(Part, frozen=True, kw_only=True):
    """Cross entropy over labelled pixels, plus optional terms, each times its weight; a weight of 0 is off.

    All terms look at the main head; auxiliary heads have their cross entropy only.

    Attributes:
        cross_entropy: Weight of the main head's cross entropy.
        class_weights: `none`; `enet`: 1 / ln(1.02 + p) with p the share of all pixels, void
            included (arXiv:1606.02147); `median-frequency`: median frequency / frequency, where a
            frequency counts only images that hold the class (Eigen and Fergus, arXiv:1411.4734);
            `inverse-sqrt`: 1 / sqrt(p), at most 6 times the smallest, mean 1; the published numbers of TI
            (`edgeai-cityscapes`, `edgeai-ade20k32`) and of ERFNet's two stages (`erfnet-encoder`,
            `erfnet-decoder`), see `recipes/published_weights.py`; or one number per class.
        class_weights_share: Share of the steps, drawn at random, in which the class weights count.
        normalize: What the sum of the cross entropy (and of the focal term) is divided by. `valid`: the class
            weights of the labelled pixels; `all`: the number of pixels, ignored ones included.
        label_smoothing: Share of the target spread over all classes.
        ohem: Cross entropy over the hard pixels only; None: over all.
        dice: Weight of a soft Dice term (arXiv:1606.04797).
        focal: Weight of a focal term (arXiv:1708.02002), whose alpha are the class weights.
        focal_gamma: How fast pixels fade there that are recognised.
        tversky: Weight of a Tversky term (arXiv:1706.05721).
        tversky_alpha: What a false positive costs there.
        tversky_beta: What a false negative costs there.
        lovasz: Weight of a Lovász-softmax term (arXiv:1705.08790), a surrogate of the mean IoU.
        lovasz_per_image: Whether that is the IoU of each image instead of the batch's.
        boundary: Weight of a second cross entropy, over the pixels near another class.
        boundary_width: How near, in rows and columns.
        auxiliary: Weight of each auxiliary head's cross entropy.
    """

    cross_entropy: float = 1.0
    class_weights: ClassWeights = "none"
    class_weights_share: float = 1.0
    normalize: Literal["valid", "all"] = "valid"
    label_smoothing: float = 0.0
    ohem: Ohem | None = None
    dice: float = 0.0
    focal: float = 0.0
    focal_gamma: float = 2.0
    tversky: float = 0.0
    tversky_alpha: float = 0.3
    tversky_beta: float = 0.7
    lovasz: float = 0.0
    lovasz_per_image: bool = False
    boundary: float = 0.0
    boundary_width: int = 3
    auxiliary: float = 0.4

    def __post_init__(self) -> None:
        terms = ("cross_entropy", "dice", "focal", "tversky", "lovasz", "boundary")
        for name in (*terms, "auxiliary"):
            _require_at_least(0, f"loss.{name}", getattr(self, name), "it is a weight; 0 is off")
        _require(
            any(getattr(self, name) for name in terms),
            f"all of loss.{', '.join(terms)} are 0; expected a term that the main head learns from",
            "for example loss.cross_entropy=1",
        )
        _require_below_one("loss.label_smoothing", self.label_smoothing, "0 is off; 1 would erase the labels")
        _require_at_least(0, "loss.focal_gamma", self.focal_gamma, "for example 2; 0 is cross entropy")
        _require(
            min(self.tversky_alpha, self.tversky_beta) >= 0 and self.tversky_alpha + self.tversky_beta > 0,
            f"loss.tversky_alpha is {self.tversky_alpha} and loss.tversky_beta is {self.tversky_beta}; expected 0 or "
            "more, not both 0: one kind of error has to cost something",
            "for example 0.3 and 0.7",
        )
        _require_at_least(1, "loss.boundary_width", self.boundary_width, "for example 3 pixels")
        self._require_possible_weights()
        self._require_possible_mining()

    def _require_possible_weights(self) -> None:
        weights = self.class_weights
        _require(
            isinstance(weights, str) or (all(0 <= weight < math.inf for weight in weights) and sum(weights) > 0),
            f"loss.class_weights is {weights if isinstance(weights, str) else list(weights)}; expected one number of "
            "0 or more per class, not all 0",
            "for example [1, 2, 0.5] for three classes",
        )
        _require(
            0 < self.class_weights_share <= 1,
            f"loss.class_weights_share is {self.class_weights_share}; expected more than 0 and at most 1",
            "1 uses the weights in every step; loss.class_weights=none never",
        )
        _require(
            self.class_weights_share == 1 or weights != "none",
            f"loss.class_weights_share is {self.class_weights_share} but loss.class_weights is none",
            "choose the weights, for example loss.class_weights=enet",
        )

    def _require_possible_mining(self) -> None:
        if self.ohem is not None:
            _require(
                self.cross_entropy > 0,
                "loss.ohem chooses the pixels of the cross entropy but loss.cross_entropy is 0",
                "give the cross entropy a weight, or leave out loss.ohem",
            )
            _require(
                self.normalize == "valid",
                f"loss.normalize is {self.normalize} but loss.ohem averages over the pixels that it keeps",
                "leave out one of them",
            )


class Group(Part, frozen=True, kw_only=True):
    r"""Parameters that learn or decay at another rate than the others.

    Attributes:
        pattern: Regular expression that is searched for in the names of the parameters, such as `^head\.`.
        lr: Factor on the learning rate; 0 holds the parameters fixed (not the statistics of normalisations).
        weight_decay: Theirs; None: the optimizer's. `decay_all` holds for it, too.
    """

    pattern: str
    lr: float = 1.0
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise RecipeError(
                "R203",
                f"optimizer.groups: '{self.pattern}' is no regular expression: {error}",
                r"for example ^head\. for everything in the head",
            ) from error
        _require_at_least(0, f"lr of the group '{self.pattern}'", self.lr, "it is a factor, for example 10")
        _require_at_least(0, f"weight_decay of the group '{self.pattern}'", self.weight_decay, "0 is off")


class Optimizer(Part, frozen=True, kw_only=True):
    """Optimizer and its settings.

    Attributes:
        kind: `sgd` (with momentum), `adam` (weight decay coupled, as L2) or `adamw` (decoupled).
        lr: Base learning rate.
        lr_batch: Images per step that `lr` is meant for: with another number it grows or shrinks in
            proportion; None: `lr` is used as it is.
        groups: Parameters with rates of their own; of several patterns that fit a name the first counts.
        layer_decay: Factor on the learning rate per block of the encoder, counted from its end: the last
            block's rate is the head's times this, the one's before times its square; 1 is off.
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
    lr_batch: int | None = None
    groups: tuple[Group, ...] = ()
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        _require_positive("optimizer.lr", self.lr, "for example 0.001")
        _require_at_least(1, "optimizer.lr_batch", self.lr_batch, "for example 8")
        _require_positive("optimizer.layer_decay", self.layer_decay, "for example 0.75; 1 is off")
        _require_share("optimizer.layer_decay", self.layer_decay, "for example 0.75; 1 is off")
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
        kind: `constant`; `step`: times `gamma` at every milestone; `poly`: (1 - t)^power; `cosine`: half a
            cosine; t runs from 0 to 1 over what `decay_from` says; `one-cycle`: half a cosine up from
            1 / `start_divisor` over the first `rise` of all steps, another one down to 1 / (`start_divisor` x
            `end_divisor`) at the last step (Smith, arXiv:1708.07120; momentum stays).
        per: `iteration`: the rate follows its course at every step; `epoch`: it is constant within an epoch.
        milestones: For `step`, in epochs; none: every `step_epochs`.
        step_epochs: For `step`.
        gamma: For `step`.
        power: For `poly`.
        rise: For `one-cycle`.
        start_divisor: For `one-cycle`.
        end_divisor: For `one-cycle`.
        min_lr_ratio: `poly` and `cosine` end at this share of the base rate.
        min_lr: They end at this rate, whatever the factor of a group of parameters; None: at `min_lr_ratio`.
        warmup_iterations: Length of the rise at the start, in steps.
        warmup_epochs: In epochs; at most one of the two is set.
        warmup_ratio: Share of the base rate at which the rise starts.
        warmup: Its form, r from 0 to 1: `linear`: ratio + (1 - ratio) r; `proportional`: r, at least the
            ratio; `exponential`: ratio^(1 - r); `constant`: the ratio.
        decay_from: `warm-up`: t starts where the warm-up ends; `start`: t counts the steps of the
            warm-up, too, and the first step after it is the first one that decays.
    """

    epochs: int | None = None
    iterations: int | None = None
    kind: Literal["constant", "step", "poly", "cosine", "one-cycle"] = "poly"
    per: Literal["iteration", "epoch"] = "iteration"
    milestones: tuple[int, ...] = ()
    step_epochs: int = 100
    gamma: float = 0.1
    power: float = 0.9
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 10_000.0
    min_lr_ratio: float = 0.0
    min_lr: float | None = None
    warmup_iterations: int = 0
    warmup_epochs: int = 0
    warmup_ratio: float = 0.0
    warmup: Literal["linear", "proportional", "exponential", "constant"] = "linear"
    decay_from: Literal["warm-up", "start"] = "warm-up"

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
        _require(
            all(later > earlier for earlier, later in itertools.pairwise((0, *self.milestones))),
            f"schedule.milestones is {list(self.milestones)}; expected growing numbers of epochs",
            "for example [100, 200]",
        )
        _require_at_least(1, "schedule.step_epochs", self.step_epochs, "for example 100")
        _require_positive("schedule.gamma", self.gamma, "it multiplies the learning rate, for example 0.1")
        _require_positive("schedule.power", self.power, "for example 0.9")
        _require_share("schedule.min_lr_ratio", self.min_lr_ratio, "it is a share of optimizer.lr")
        _require_at_least(0, "schedule.min_lr", self.min_lr, "it is a learning rate, for example 0.000001")
        self._check_start()

    def _check_start(self) -> None:
        _require(
            0 < self.rise < 1, f"schedule.rise is {self.rise}; expected more than 0 and less than 1", "for example 0.3"
        )
        _require_at_least(1, "schedule.start_divisor", self.start_divisor, "for example 25")
        _require_at_least(1, "schedule.end_divisor", self.end_divisor, "for example 10000")
        _require_share("schedule.warmup_ratio", self.warmup_ratio, "it is a share of optimizer.lr")
        _require_at_least(0, "schedule.warmup_iterations", self.warmup_iterations, "0 is no warm-up")
        _require_at_least(0, "schedule.warmup_epochs", self.warmup_epochs, "0 is no warm-up")
        _require(
            not (self.warmup_iterations and self.warmup_epochs),
            f"schedule.warmup_iterations is {self.warmup_iterations} and schedule.warmup_epochs is "
            f"{self.warmup_epochs}; expected at most one of them",
            "set the other one to 0",
        )
        _require(
            self.warmup != "exponential" or self.warmup_ratio > 0,
            f"schedule.warmup is exponential and schedule.warmup_ratio is {self.warmup_ratio}; expected more than 0",
            "an exponential rise cannot start from nothing; for example 0.001",
        )
        _require(
            self.kind != "one-cycle" or not (self.warmup_iterations or self.warmup_epochs),
            "schedule.kind is one-cycle, which has a rise of its own, and a warm-up is set, too",
            "leave the warm-up out; schedule.rise is the length of the rise",
        )


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
        patience: Training ends early after so many evaluations in a row without an improvement; None:
            it never does.
        min_delta: Percentage points of mIoU that an evaluation has to be above the last improvement to
            be one itself. Which weights are the best does not depend on it.
    """

    weights: Literal["best", "last"] = "last"
    split: str = "val"
    every_epochs: int = 0
    protocol: str | None = None
    patience: int | None = None
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        _require_at_least(0, "selection.every_epochs", self.every_epochs, "0 never evaluates during training")
        _require(
            self.weights == "last" or self.every_epochs > 0,
            "selection.weights is 'best' but selection.every_epochs is 0: nothing is ever compared",
            "set selection.every_epochs=1, or selection.weights=last",
        )
        _require_at_least(1, "selection.patience", self.patience, "leave it out to train to the end")
        _require_at_least(0, "selection.min_delta", self.min_delta, "percentage points, for example 0.1")
        _require(
            self.patience is None or self.every_epochs > 0,
            f"selection.patience is {self.patience} but selection.every_epochs is 0: nothing is ever compared",
            "set selection.every_epochs=1",
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
        recipe: Name of the recipe whose result the whole network begins with; None: of no recipe.
        run: Folder of the run that the whole network begins with, of `recipe` where that is named.
    """

    encoder: str = "none"
    licence: str = ""
    original: str = ""
    recipe: str | None = None
    run: str | None = None


class Stage(Part, frozen=True, kw_only=True):
    """A complete training that comes before the recipe's own; what follows begins with its result.

    Attributes:
        name: Of its run folder, `stages/NAME` in that of the recipe.
        overrides: How its recipe differs from the one it belongs to: `section.field=value`.
    """

    name: str
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(
            re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name) is not None,
            f"stages: the name '{self.name}' cannot be that of a folder; expected small letters, digits and hyphens",
            "for example encoder",
        )


class Recipe(Part, frozen=True, kw_only=True):
    """A complete, resolved description of one run.

    Attributes:
        name: Unique name; for a published row the id in the published table.
        summary: One line.
        quantization: `edgeai-8bit`: trained with 8-bit weights and activations (symmetric, per tensor,
            power-of-two scales), from the float recipe's result.
        stages: What is trained before, in this order.
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
    stages: tuple[Stage, ...] = ()
    published: Published | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        _require(
            len(set(names)) == len(names),
            f"stages: the names are {', '.join(names)}; expected different ones",
            "each stage has a folder of its own",
        )
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
        # The path of a run says nothing about its weights; which recipe they come from does.
        if recipe.initialize.recipe is not None or recipe.initialize.run is not None:
            plain["initialize"] = [recipe.initialize.encoder, recipe.initialize.recipe or recipe.initialize.run]
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
            elif isinstance(value, tuple):
                items = [_without_defaults(item) if isinstance(item, msgspec.Struct) else item for item in value]
                plain[field.name] = items
            else:
                plain[field.name] = msgspec.to_builtins(value)
    if part.__struct_config__.tag is not None:
        plain["family"] = part.__struct_config__.tag
    return plain
