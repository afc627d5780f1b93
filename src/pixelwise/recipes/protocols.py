"""Named evaluation protocols: where and how a score is computed.

The published pages use several incompatible ways to compute "mIoU", so a number never travels
without the name of its protocol. A protocol is registered by `register`; one whose name holds numbers, such as
`slide-512x512`, by a function that reads them (`register_family`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.sizes import Size

Resampling = Literal["antialiased", "linear", "area"]


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a prediction is made and scored. Sizes are (height, width).

    Attributes:
        name: What recipes, results and the command line call it.
        summary: One line for tables and reports.
        input_size: Size the network sees. Without it and without `fit`, the recipe's
            `evaluation.input_size`, and where that is unset too, the image's own.
        fit: Aspect ratio kept: the largest size whose shorter side is at most the first number and
            whose longer side at most the second; None: no limit for the longer side.
        pad_to: What the network sees is padded at the right and bottom to at least this size, with
            zeros after normalisation (the mean colour); the padding is not scored.
        resampling: How images are resized: `antialiased` (bilinear, as Pillow and torchvision),
            `linear` (bilinear without antialiasing, as OpenCV), `area` (the average of the covered
            pixels, as OpenCV; linear where it enlarges).
        argmax_at: `score`: logits are interpolated to the score size. `input`: to the size the
            network sees, and class ids are resized from there to the score size.
        score_size: Size at which predictions and labels are compared: `native` (the label file's
            own), `input` (what the network sees), or a fixed size. Labels are resized by nearest
            neighbour: the pixel whose centre is nearest, or under `argmax_at="input"`, for labels and
            predictions, pixel `floor(i * from / to)`, as OpenCV and PyTorch do under that name.
        absent: What a class counts that occurs neither in labels nor in predictions: left out of
            the mean (`skip`) or 0 (`zero`).
        window: The network sees windows of this size (smaller where the image is), which together cover what
            it would have seen, instead of the whole; None: the whole.
        window_stride: Distance of neighbouring windows, at most `window`; None: they touch. The last ones are
            moved back to end with the image.
        window_batch: Windows per forward pass.
        blend: What overlapping windows are averaged as, uniformly: `logits` (as mmsegmentation) or
            `probabilities`.
        scales: The network sees the image at each of these factors of its input size; probabilities (softmax)
            are averaged at the size at which the best class is taken.
        flip: It also sees each of them mirrored, averaged likewise.
    """

    name: str
    summary: str
    input_size: Size | None = None
    fit: tuple[int, int | None] | None = None
    pad_to: Size | None = None
    resampling: Resampling = "antialiased"
    argmax_at: Literal["score", "input"] = "score"
    score_size: Size | Literal["native", "input"] = "native"
    absent: Literal["skip", "zero"] = "skip"
    window: Size | None = None
    window_stride: Size | None = None
    window_batch: int = 1
    blend: Literal["logits", "probabilities"] = "logits"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.input_size is not None and self.fit is not None:
            raise ValueError(f"protocol '{self.name}': input_size and fit exclude each other")
        if self.pad_to is not None and self.argmax_at != "input":
            raise ValueError(f"protocol '{self.name}': padding can be cut off only where argmax_at is 'input'")
        if self.pad_to is not None and not self.one_look:
            raise ValueError(f"protocol '{self.name}': pad_to excludes windows, scales and flip")
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"protocol '{self.name}': scales is {self.scales}; expected one or more, each above 0")
        window, stride = self.window or (1, 1), self.window_stride or (1, 1)
        if min(*window, *stride, self.window_batch) < 1:
            raise ValueError(f"protocol '{self.name}': window, window_stride and window_batch must be 1 or more")
        if self.window_stride is not None and (
            self.window is None or any(step > side for step, side in zip(stride, window, strict=True))
        ):
            raise ValueError(
                f"protocol '{self.name}': window_stride is {stride} for windows of {self.window}: parts of the image "
                "would not be seen"
            )

    @property
    def one_look(self) -> bool:
        """Whether the network sees each image once, as a whole."""
        return self.window is None and self.scales == (1.0,) and not self.flip

    def seen_size(self, recipe_size: Size | None) -> Size | None:
        """The one size (before padding) that the network sees; None where every image has its own.

        Args:
            recipe_size: The recipe's `evaluation.input_size`.
        """
        return None if self.fit is not None else self.input_size or recipe_size


PROTOCOLS: Registry[Protocol] = Registry("evaluation protocol", RecipeError, "R204")
"""Protocols by name. As a dict it holds those that were registered so far; `protocol` also finds those of plug-ins."""

Family = Callable[[str], Protocol | None]
"""Makes a protocol from its name; None where the name is none of the family's."""

FAMILIES: Registry[Family] = Registry("family of evaluation protocols", RecipeError, "R204")
"""Protocols whose names hold numbers, by the pattern of these names as messages show it."""


def register(entry: Protocol) -> Protocol:
    """Make a protocol known by its name.

    Raises:
        RecipeError: R234, the name is taken.
    """
    return PROTOCOLS.add(entry.name, entry)


def register_family(pattern: str) -> Callable[[Family], Family]:
    """Decorate a function that makes protocols from names that hold numbers.

    Args:
        pattern: The names as messages show them, such as `slide-WIDTHxHEIGHT`.

    Raises:
        RecipeError: R234, the pattern is taken.
    """
    return lambda family: FAMILIES.add(pattern, family)


def protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        RecipeError: R204, there is none; the message holds the nearest names.
    """
    found = known_protocol(name)
    if found is None:
        known = ", ".join([*PROTOCOLS, *FAMILIES])
        raise RecipeError(
            "R204",
            PROTOCOLS.unknown(name).message,
            f"choose one of: {known}; one of another package needs that package installed",
        )
    return found


def known_protocol(name: str) -> Protocol | None:
    """As `protocol`; None where there is none."""
    # Packages are imported only for a name that is not one of ours.
    return PROTOCOLS.get(name) or _computed(name) or PROTOCOLS.look_up(name) or _computed(name)


def _computed(name: str) -> Protocol | None:
    return next((found for make in FAMILIES.values() if (found := make(name)) is not None), None)


def _edgeai(dataset: str, size: Size, resampling: Resampling) -> Protocol:
    """What TI's evaluation of its segmentation networks does."""
    height, width = size
    return Protocol(
        name=f"edgeai-{dataset}",
        summary=f"class ids at the recipe's input size, then, like the labels, resized (nearest) to {width}x{height}; "
        "absent classes count 0",
        resampling=resampling,
        argmax_at="input",
        score_size=size,
        absent="zero",
    )


register(
    Protocol(
        name="native",
        summary="whole image, logits bilinearly resized to the label file's own size",
    )
)
register(
    Protocol(
        name="camvid-480x360",
        # PyTorch-ENet takes the mean with nanmean: over a whole split all 11 classes occur.
        summary="11 classes at 480x360, void pixels dropped, one confusion matrix, mean over 11",
        score_size=(360, 480),
    )
)
register(
    Protocol(
        name="camvid-480x360-tta",
        summary="as camvid-480x360, of the image at 0.75, 1, 1.25 and 1.5 times its size, each also mirrored, "
        "probabilities averaged",
        score_size=(360, 480),
        scales=(0.75, 1.0, 1.25, 1.5),
        flip=True,
    )
)
register(
    Protocol(
        name="enet-1024x512",
        summary="image (bilinear) and labels (nearest) shrunk to 1024x512, scored there",
        input_size=(512, 1024),
        score_size=(512, 1024),
    )
)
register(
    Protocol(
        name="ssseg-2048x512",
        summary="shorter side 512 unless the longer one would exceed 2048, logits to the label file's own size",
        fit=(512, 2048),
        resampling="linear",
    )
)
register(
    Protocol(
        name="ssseg-2048x1024",
        summary="shorter side 1024 unless the longer one would exceed 2048, logits to the label file's own size",
        fit=(1024, 2048),
        resampling="linear",
    )
)
register(
    Protocol(
        name="cityscapes-2048x1024",
        summary="image and labels at 2048x1024 (Cityscapes' own size), scored there, absent classes count 0",
        input_size=(1024, 2048),
        resampling="linear",
        score_size="input",
        absent="zero",
    )
)
register(_edgeai("cityscapes", (1024, 2048), "area"))
register(_edgeai("ade20k32", (768, 768), "area"))
register(_edgeai("cocoseg21", (512, 512), "linear"))
register(
    Protocol(
        name="tf-deeplab-512x512",
        summary="image resized to 512x512, class ids resized (nearest) to the label file's own size",
        input_size=(512, 512),
        argmax_at="input",
    )
)
register(
    Protocol(
        name="tf-deeplab-2049x1025",
        # TensorFlow's DeepLab evaluates at multiples of its stride plus one.
        summary="whole image padded by its mean colour to 2049x1025, scored without the padding",
        pad_to=(1025, 2049),
        argmax_at="input",
    )
)
register(
    Protocol(
        name="torchvision-520",
        summary="image (bilinear) and labels (nearest) with the shorter side at 520, scored there",
        fit=(520, None),
        score_size="input",
    )
)
register(
    Protocol(
        name="torchvision-1040x520",
        summary="image (bilinear) and labels (nearest) resized to 1040x520, scored there",
        input_size=(520, 1040),
        score_size="input",
    )
)
register(
    Protocol(
        name="erfnet-1024x512",
        # The 69.7 of the paper is the test server's, which wants full size; the code base's own
        # script shrinks the labels instead, and its validation score is 72.1.
        summary="image shrunk to 1024x512, logits to the label file's own size as the test server scores",
        input_size=(512, 1024),
    )
)
register(
    Protocol(
        name="slide-1024x1024",
        # What NVlabs' SegFormer does on Cityscapes.
        summary="windows of 1024x1024, 768 apart, their logits averaged, at the label file's own size",
        window=(1024, 1024),
        window_stride=(768, 768),
    )
)
register(
    Protocol(
        name="multi-scale-flip",
        # The six scales of mmsegmentation's configurations.
        summary="whole image at 0.5 to 1.75 times its size, each also mirrored, probabilities averaged",
        resampling="linear",
        scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75),
        flip=True,
    )
)


_WINDOWS = re.compile(r"slide-([1-9]\d*)x([1-9]\d*)")


@register_family("slide-WIDTHxHEIGHT")
def _windows(name: str) -> Protocol | None:
    """Windows of any size, three quarters of it apart as those of `slide-1024x1024`."""
    numbers = _WINDOWS.fullmatch(name)
    if numbers is None:
        return None
    width, height = (int(side) for side in numbers.groups())
    across, down = max(1, width * 3 // 4), max(1, height * 3 // 4)
    return Protocol(
        name=name,
        summary=f"windows of {width}x{height}, {across} apart across and {down} down, their logits averaged, at the "
        "label file's own size",
        window=(height, width),
        window_stride=(down, across),
    )
