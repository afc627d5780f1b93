"""The `augment` section: random augmentation of training images and labels."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.schema.base import (
    Part,
    Range,
    require,
    require_at_least,
    require_below_one,
    require_positive,
    require_share,
    require_size,
)
from pixelwise.recipes.sizes import Size


class Augment(Part, frozen=True, kw_only=True):
    """Augmentation of an image-label pair before it enters a training batch.

    The order: resize; rotate; zoom, crop and flip as one step that computes only the crop; pad; translate;
    photometric and brightness_shift; then, on the batch, mix; then brightness, contrast, saturation, hue and
    channel_gain as one matrix. Labels are always resampled by nearest neighbour.

    Attributes:
        resize: Fixed size that every pair is first resized to (image bilinear, labels nearest).
        fit: Size that the zoom starts from; None uses the image's own. Unlike `resize` it is not a resampling step of
            its own: `fit` and the zoom are applied to the original pixels in a single step.
        fit_by: Relation between the image and `fit`. `inside` keeps the aspect ratio, with the shorter side at most the
            smaller number and the longer side at most the larger one (so `fit` is transposed for a portrait image).
            `stretch` gives exactly `fit`, changing the aspect ratio, and a zoomed pair is first cropped back to `fit`
            at a random position. `short-side` keeps the aspect ratio; the shorter side becomes the smaller number.
        scale: Range of the random zoom factor.
        scale_law: Distribution of the zoom factor: `log-uniform`; `uniform`; `reciprocal` (1 / zoom is uniform, as when
            the size of the cropped box is drawn); `two-sided` (uniform below 1 or uniform above 1, with probability
            1/2 each); `steps` (smallest, smallest + `scale_step`, ... up to the largest, with equal probability).
        scale_step: Difference between neighbouring zoom factors (`steps` only).
        scale_probability: Probability that a pair is zoomed at all.
        scale_axes: `together`, or `independent`, which draws separate zoom factors for height and width.
        aspect: Maximum random relative change of the aspect ratio; 0.1 is up to 10 %.
        rotate: Maximum rotation in degrees; the angle is drawn uniformly from -rotate .. rotate, about the centre.
        rotate_probability: Probability that a pair is rotated at all.
        rotate_label: Label of the corners that a rotation brings in from outside the image: 255 ignores them; TI
            EdgeAI's code labels them as class 0.
        crop: Size of the random crop; smaller pairs are padded (see `pad`).
        class_crop: Fraction of crops that are centred on a pixel of a class drawn uniformly from those in the image, so
            that rare classes are seen.
        max_class_share: The position of the crop is redrawn until the crop contains at least two classes and none has
            this share of its labelled pixels, with at most ten draws, the last of which is kept; None draws once.
        pad: Position in the crop of a pair that is smaller: `random`; `center`; `end` (padded at the bottom and on the
            right); `end-then-flip` (likewise, but before the flip, so that flipped pairs are padded on the left, as in
            TensorFlow's DeepLab).
        fill: Colour of the pixels that padding, rotation and translation bring in: `black`, filled in before
            photometric and brightness_shift, or `mean`, the network's mean colour rounded to integers, filled in after
            them (0 after normalisation). Their labels are 255, or `rotate_label` after a rotation.
        resampling: Interpolation of zoomed images. `warp` is one bilinear mapping with any zoom and position, in which
            edges blend with the fill. The others resize to whole pixels and crop at whole pixels: `bilinear` with
            OpenCV's bilinear filter (no antialiasing); `antialiased` with Pillow's bilinear filter, whose support
            widens when shrinking (as in torchvision); `bicubic` with Pillow's bicubic filter; `area` with OpenCV's
            INTER_AREA where height or width shrinks (the average of the covered pixels), else with its bilinear filter.
        flip: Probability of a horizontal flip.
        translate: Maximum translation in pixels, drawn for each axis from -translate .. translate.
        photometric: Distortion of uint8 colours, clipped after each step: brightness by -32..32, contrast by
            0.5..1.5 before or after saturation by 0.5..1.5 and hue by 18 of 180 steps. `mmseg` applies each with
            probability 1/2; `united-perception` each with probability 2/3, and no contrast at all in a third of the
            images.
        brightness_shift: Maximum integer that is added to all values, drawn from -shift .. shift, with probability 1/2.
        mix: `cutmix` replaces a random rectangle of half the area by that of the next pair in the batch (Yun et al.,
            arXiv:1905.04899, as used for segmentation by French et al., arXiv:1906.01916); `classmix` pastes half of
            the classes of the next pair (Olsson et al., arXiv:2007.07936).
        mix_probability: Fraction of pairs that are mixed, if `mix` is set.
        brightness: Maximum relative change of brightness: a factor drawn from 1 - brightness .. 1 + brightness.
        contrast: Maximum relative change of contrast around mid-grey, drawn likewise.
        saturation: Maximum relative change of saturation, drawn likewise; RGB only.
        hue: Maximum rotation of all colours, as a fraction of a full circle, drawn from -hue .. hue. The rotation is
            about the grey axis in YIQ, so greys and luma stay; it is not the hue of HSV, which no matrix can rotate.
            RGB only.
        channel_gain: Maximum relative change of each colour channel, drawn separately as for `brightness`.
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
    resampling: Literal["warp", "bilinear", "antialiased", "bicubic", "area"] = "warp"
    flip: float = 0.0
    translate: int = 0
    photometric: Literal["none", "mmseg", "united-perception"] = "none"
    brightness_shift: int = 0
    mix: Literal["none", "cutmix", "classmix"] = "none"
    mix_probability: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    channel_gain: float = 0.0

    def __post_init__(self) -> None:
        for name in ("class_crop", "flip", "scale_probability", "rotate_probability", "mix_probability"):
            require_share(f"augment.{name}", getattr(self, name), "it is a probability")
        for name in ("brightness", "contrast", "saturation", "channel_gain", "aspect"):
            require_below_one(f"augment.{name}", getattr(self, name), "1 would erase the image")
        require(
            0 <= self.hue <= 0.5, f"augment.hue is {self.hue}; expected 0..0.5", "it is a share of the colour circle"
        )
        for name in ("resize", "fit", "crop"):
            require_size(f"augment.{name}", getattr(self, name))
        for name, largest in (("rotate", 180), ("rotate_label", 255), ("brightness_shift", 255)):
            value = getattr(self, name)
            require(0 <= value <= largest, f"augment.{name} is {value}; expected 0..{largest}", "for example 0")
        require_at_least(0, "augment.translate", self.translate, "it is a number of pixels")
        require(
            self.max_class_share is None or 0 < self.max_class_share <= 1,
            f"augment.max_class_share is {self.max_class_share}; expected more than 0 and at most 1",
            "for example 0.75",
        )
        require(
            self.rotate_label == IGNORE or self.resampling != "warp",
            "augment.rotate_label is set but augment.resampling=warp pads and rotates in one step",
            "set augment.resampling to any other value, or leave out augment.rotate_label",
        )
        self._require_scale()
        uncropped = (self.scale, self.fit, self.max_class_share) == (None, None, None)
        require(
            self.crop is not None or (uncropped and not self.aspect and not self.class_crop and not self.rotate),
            "augment.scale, aspect, class_crop, fit, rotate or max_class_share is set, which are part of cropping, but "
            "augment.crop is not set",
            "set augment.crop to the size of the training batches, for example [360, 480]",
        )

    def _require_scale(self) -> None:
        require_positive("augment.scale_step", self.scale_step, "for example 0.25")
        if self.scale is None:
            return
        low, high = self.scale
        require(
            0 < low <= high,
            f"augment.scale is {[low, high]}; expected 0 < smallest <= largest",
            "for example [0.5, 2.0]",
        )
        require(
            self.scale_law != "two-sided" or low <= 1 <= high,
            f"augment.scale is {[low, high]}; augment.scale_law=two-sided expects smallest <= 1 <= largest",
            "for example [0.5, 2.0]",
        )
