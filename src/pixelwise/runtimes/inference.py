"""What happens between an image file and its mask, as an artefact's description states it.

An artefact is used without the run that it was exported from, so its description says everything: how files are read,
to which size images are brought, what pads them, through which windows the network looks, and how overlapping windows
are joined.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pixelwise.recipes.protocols import Protocol, Resampling
from pixelwise.recipes.sizes import Size

LONGEST_SIDE = 1 << 16
"""Largest accepted side of any size in a description."""
MOST_PIXELS = 1 << 28
"""Largest accepted number of pixels of any size in a description, so that one from elsewhere cannot fill the memory."""
Side = Annotated[int, Meta(ge=1, le=LONGEST_SIDE)]
Sides = tuple[Side, Side]
"""(height, width) in pixels."""

Resize = Literal["none", "area", "fit", "exact"]
Blend = Literal["logits", "probabilities", "central"]


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """The way from an image file to its mask. Sizes are (height, width); an absent value is None.

    Attributes:
        exif: Whether the orientation that image files state, in EXIF or else in XMP, is applied.
        alpha: Treatment of transparent pixels: `drop` keeps their RGB values, `black` blends them onto black.
        channels: Channels of the file that the network receives, in this order, counted from 0; None: RGB.
        input_range: Values that become 0 and 255, for files with more than 8 bits per channel.
        max_pixels: Largest number of pixels of an image file.
        resize: Size at which the network sees an image: `none`: its own; `area`: that of the same aspect ratio with
            the area of `size`, each side rounded; `fit`: the largest size of the same aspect ratio whose shorter side
            is at most `shorter_side` and whose longer side is at most `longer_side` (None: the shorter side becomes
            `shorter_side` and the longer one is rounded down); `exact`: `size`.
        size: Size for `area` and `exact`.
        shorter_side: Limit for `fit`.
        longer_side: Limit for `fit`.
        resampling: Interpolation of the image: `antialiased` (bilinear, as in Pillow), `linear` (bilinear without
            antialiasing, as in OpenCV) or `area` (as in OpenCV; linear when enlarging).
        pad_to: Smallest size of the network's input; smaller images are padded. None: none.
        pad_side: Where padding is added.
        pad_value: Value of the padding after normalisation: 0 is the mean colour.
        window: Size of the windows that together cover the resized image, each clipped to it; None: one window. A
            window that is smaller than an artefact's only input size is padded to it in the same way.
        window_stride: Distance between windows; the last ones are moved back to end with the image.
        even_windows: Whether there are as many windows at equal distances instead, rounded down to whole pixels.
        blend: Joining of overlapping windows: the mean of their `logits` or `probabilities`; `central`: each pixel is
            taken from the window whose centre is nearest, the upper and left one of equally near ones.
        whole_pixels: Largest number of pixels of a resized image that is predicted without windows if `window` is
            None; larger ones go through windows of `large_window`, three quarters of it apart.
        large_window: Size of these windows.
        multilabel: Whether every class with a logit above 0 (a probability above 0.5) is predicted, instead of the
            class with the largest logit.
        mask: Size of the mask: logits are upsampled bilinearly to the image's own size before the decision, class ids
            like their one-hot code.
    """

    exif: Literal["apply", "ignore"] = "apply"
    alpha: Literal["drop", "black"] = "drop"
    channels: tuple[Annotated[int, Meta(ge=0, le=65535)], ...] | None = None
    input_range: tuple[float, float] | None = None
    max_pixels: Annotated[int, Meta(ge=1, le=1 << 40)] = 100_000_000
    resize: Resize = "none"
    size: Sides | None = None
    shorter_side: Side | None = None
    longer_side: Side | None = None
    resampling: Resampling = "antialiased"
    pad_to: Sides | None = None
    pad_side: Literal["right-bottom"] = "right-bottom"
    pad_value: Annotated[float, Meta(ge=0, le=0)] = 0.0
    window: Sides | None = None
    window_stride: Sides | None = None
    even_windows: bool = False
    blend: Blend = "logits"
    whole_pixels: Annotated[int, Meta(ge=1, le=MOST_PIXELS)] = 1 << 24
    large_window: Sides = (1024, 1024)
    multilabel: bool = False
    mask: Literal["image"] = "image"

    def __post_init__(self) -> None:
        require((self.size is not None) == (self.resize in ("area", "exact")), f"`size` with resize={self.resize}")
        require((self.shorter_side is not None) == (self.resize == "fit"), f"`shorter_side` with {self.resize}")
        require(self.longer_side is None or self.resize == "fit", f"`longer_side` with resize={self.resize}")
        require(self.pad_to is None or self.window is None, "`pad_to` and `window` exclude each other")
        for sides in (self.size, self.pad_to, self.window, self.large_window):
            require(sides is None or sides[0] * sides[1] <= MOST_PIXELS, f"{sides} are too many pixels")
        require(self.channels is None or len(self.channels) > 0, "`channels` is empty")
        if self.input_range is not None:
            low, high = self.input_range
            require(math.isfinite(low) and math.isfinite(high) and low < high, f"`input_range` is {[low, high]}")
        if self.window_stride is not None:
            steps = zip(self.window_stride, self.window or (0, 0), strict=True)
            require(all(step <= side for step, side in steps), "`window_stride` is larger than `window`")

    def protocol(self) -> Protocol:
        """The same rules as an evaluation protocol, except for a size that every image is brought to."""
        return Protocol(
            name="artefact",
            summary="the rules in the artefact's description",
            fit=None if self.shorter_side is None else (self.shorter_side, self.longer_side),
            pad_to=self.pad_to,
            resampling=self.resampling,
            argmax_at="score" if self.pad_to is None else "input",
            window=self.window,
            window_stride=None if self.even_windows else self.window_stride,
            even_windows=self.even_windows,
            blend=self.blend,
        )


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """How the network was scored, so that an artefact is scored alike.

    Attributes:
        split: Split to score.
        input_size: (height, width) of the network's input if the protocol leaves it open.
        batch_size: Images of equal size per forward pass.
        protocol: The recipe's first protocol, with all its rules.
    """

    split: str
    input_size: Sides | None = None
    batch_size: Annotated[int, Meta(ge=1, le=65536)] = 1
    protocol: dict[str, Any]

    def __post_init__(self) -> None:
        self.first_protocol()

    def first_protocol(self) -> Protocol:
        """The protocol as a struct."""
        plain = dict(self.protocol)
        if isinstance(plain.get("fit"), list | tuple) and len(plain["fit"]) == 1:
            plain["fit"] = [*plain["fit"], None]
        return msgspec.convert(plain, Protocol)


def plain_protocol(protocol: Protocol) -> dict[str, Any]:
    """A protocol as nested dicts without None, which TOML lacks: a missing longer side is left out of `fit`."""
    plain = {key: value for key, value in msgspec.to_builtins(protocol).items() if value is not None}
    if "fit" in plain:
        plain["fit"] = [side for side in plain["fit"] if side is not None]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


def fitted_to(protocol: Protocol, fixed: Size | None) -> Protocol:
    """The protocol for a network that takes images of one size only.

    Images keep the size at which the protocol shows them, and are seen through windows of the network's size that
    overlap by a quarter; an image that fits into one window is padded to it. Windows of the protocol that fit stay.

    Args:
        protocol: Protocol for images of any size.
        fixed: (height, width) of the network's input; None: any, and the protocol is returned as it is.
    """
    if fixed is None:
        return protocol
    window = protocol.window
    if window is not None and all(side <= only for side, only in zip(window, fixed, strict=True)):
        return protocol
    return protocol.through_windows(fixed)


def require(holds: bool, what: str) -> None:
    """Refuse a description that contradicts itself.

    Raises:
        ValueError: `holds` is false; a reader reports it as a damaged description.
    """
    if not holds:
        raise ValueError(f"the description contradicts itself: {what}")
