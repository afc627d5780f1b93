"""The `augment` section: random changes of training images and labels."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.classes.tables import IGNORE
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
    """What happens to an image-label pair before it enters a training batch.

    The order: resize; turn; zoom, crop and flip as one step that computes only the crop; pad; translate;
    photometric and brightness_shift; then, for the batch, mix; then brightness, contrast, saturation, hue and
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
            which widens when it shrinks (that of torchvision); `bicubic`: likewise, with Pillow's bicubic filter;
            `area`: likewise, with OpenCV's INTER_AREA where height or width shrinks, the average of the pixels
            that each new one covers, else with its bilinear filter.
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
        saturation: Likewise, towards grey; of RGB only.
        hue: All colours turn by the same angle, drawn from -hue .. hue of a full circle, around the axis of greys
            in YIQ: greys and luma stay. Not the hue of HSV, which no matrix can turn; of RGB only.
        channel_gain: Factor of each colour channel, drawn as for brightness.
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
            require(0 <= value <= largest, f"augment.{name} is {value}; expected 0..{largest}", "0 is the least")
        require_at_least(0, "augment.translate", self.translate, "it is a number of pixels")
        require(
            self.max_class_share is None or 0 < self.max_class_share <= 1,
            f"augment.max_class_share is {self.max_class_share}; expected more than 0 and at most 1",
            "for example 0.75",
        )
        require(
            self.rotate_label == IGNORE or self.resampling != "warp",
            "augment.rotate_label is set but augment.resampling=warp pads and turns in one step",
            "set augment.resampling to any other",
        )
        self._require_scale()
        uncropped = (self.scale, self.fit, self.max_class_share) == (None, None, None)
        require(
            self.crop is not None or (uncropped and not self.aspect and not self.class_crop and not self.rotate),
            "augment.scale, aspect, class_crop, fit, rotate and max_class_share are parts of cropping but "
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
