"""Named evaluation protocols, which define how predictions are made and scored.

The published pages compute "mIoU" in several incompatible ways, so a score is never given without the name of its
protocol. A protocol is registered by `register`; protocols whose names contain numbers, such as `slide-512x512`, by a
function that reads the numbers (`register_family`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from pixelwise.entry_points import TAKEN, warn
from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.sizes import Size

Resampling = Literal["antialiased", "linear", "area"]


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An evaluation protocol: how predictions are made and scored. Sizes are (height, width).

    Attributes:
        name: Name in recipes, results and on the command line.
        summary: One-line description for tables and reports.
        input_size: Size of the network's input. Without it and without `fit`, it is the recipe's
            `evaluation.input_size`, or else each image's own size.
        fit: Bounds of an input that keeps its aspect ratio: the largest size whose shorter side is at most the first
            number and whose longer side is at most the second (None: unlimited).
        pad_to: Minimum size of the input, which is padded on the right and at the bottom with zeros after
            normalisation (the mean colour); the padding is not scored.
        resampling: Interpolation for resizing images: `antialiased` (bilinear, as in Pillow and torchvision),
            `linear` (bilinear without antialiasing, as in OpenCV) or `area` (the average of the covered pixels, as in
            OpenCV; linear when enlarging).
        argmax_at: Size at which the argmax is taken. `score`: logits are interpolated to the score size. `input`:
            logits are interpolated to the input size, and class ids are resized from there to the score size.
        score_size: Size at which predictions and labels are compared: `native` (that of the label file), `input` (that
            of the network's input), or a fixed size. Labels are resized by nearest neighbour: the pixel with the
            nearest centre or, if `argmax_at` is `input`, for labels and predictions, pixel `floor(i * from / to)`, as
            OpenCV and PyTorch define it.
        absent: Treatment of a class that occurs in neither labels nor predictions: left out of the mean (`skip`) or
            counted as 0 (`zero`).
        window: Size of the sliding windows that together cover the input (smaller if the input is); None passes the
            whole input at once.
        window_stride: Distance between neighbouring windows, at most `window`; None makes them adjacent. The last
            windows are moved back to end at the image border.
        even_windows: Whether as few windows as cover the input lie at equal distances, instead of `window_stride`.
        window_batch: Windows per forward pass.
        blend: Values that are averaged, with equal weights, where windows overlap: `logits` (as in mmsegmentation) or
            `probabilities`; `central` averages nothing, but takes each pixel from the window whose centre is nearest,
            the upper and left one of equally near ones.
        scales: Factors of the input size for multi-scale evaluation; probabilities (softmax) are averaged at the size
            at which the argmax is taken.
        flip: Whether the mirrored image is evaluated too, at each scale, and averaged likewise.
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
    even_windows: bool = False
    window_batch: int = 1
    blend: Literal["logits", "probabilities", "central"] = "logits"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.input_size is not None and self.fit is not None:
            raise ValueError(f"protocol '{self.name}': input_size and fit exclude each other")
        if self.pad_to is not None and self.argmax_at != "input":
            raise ValueError(f"protocol '{self.name}': pad_to requires argmax_at 'input'; got '{self.argmax_at}'")
        if self.pad_to is not None and not self.one_look:
            raise ValueError(f"protocol '{self.name}': pad_to excludes windows, scales and flip")
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"protocol '{self.name}': scales is {self.scales}; expected one or more, each above 0")
        window, stride = self.window or (1, 1), self.window_stride or (1, 1)
        if min(*window, *stride, self.window_batch) < 1:
            raise ValueError(f"protocol '{self.name}': window, window_stride and window_batch must be 1 or more")
        if self.even_windows and (self.window is None or self.window_stride is not None):
            raise ValueError(f"protocol '{self.name}': even_windows needs window, and excludes window_stride")
        if self.window_stride is not None and (
            self.window is None or any(step > side for step, side in zip(stride, window, strict=True))
        ):
            raise ValueError(
                f"protocol '{self.name}': window_stride is {stride} for windows of {self.window}, which would leave "
                "gaps; expected at most the size of a window"
            )

    @property
    def one_look(self) -> bool:
        """Whether the network sees each image once, as a whole."""
        return self.window is None and self.scales == (1.0,) and not self.flip

    def through_windows(self, window: Size) -> Protocol:
        """The protocol with sliding windows of that size, which overlap by a quarter, and without padding."""
        stride = tuple(max(1, side * 3 // 4) for side in window)
        return msgspec.structs.replace(self, window=window, window_stride=stride, even_windows=False, pad_to=None)

    def seen_size(self, recipe_size: Size | None) -> Size | None:
        """Size of the network's input before padding; None if it varies with the image.

        Args:
            recipe_size: The recipe's `evaluation.input_size`.
        """
        return None if self.fit is not None else self.input_size or recipe_size


PROTOCOLS: Registry[Protocol] = Registry("evaluation protocol", RecipeError, "R204")
"""Protocols by name. As a dict it holds the protocols registered so far; `protocol` also finds those of plug-ins."""

Family = Callable[[str], Protocol | None]
"""Makes a protocol from its name; returns None for a name that does not belong to the family."""

FAMILIES: Registry[Family] = Registry("family of evaluation protocols", RecipeError, "R204")
"""Families of protocols whose names contain numbers, by the pattern of their names as shown in messages."""


def register(entry: Protocol) -> Protocol:
    """Register a protocol by its name.

    Raises:
        RecipeError: R234, the name is already taken, or a built-in family computes it.
    """
    for pattern, make in FAMILIES.own().items():
        if entry.name not in PROTOCOLS and make(entry.name) is not None:
            raise RecipeError(
                TAKEN,
                f"the evaluation protocol '{entry.name}' is one of the built-in protocols {pattern}",
                "choose another name; one that begins with the name of your package is always free",
            )
    return PROTOCOLS.add(entry.name, entry)


def register_family(pattern: str) -> Callable[[Family], Family]:
    """Register the decorated function, which makes protocols from names that contain numbers.

    Args:
        pattern: Pattern of the names as shown in messages, such as `slide-WIDTHxHEIGHT`.

    Raises:
        RecipeError: R234, the pattern is already taken.
    """
    return lambda family: FAMILIES.add(pattern, family)


def protocol(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        RecipeError: R204, there is no such protocol (with similar names).
    """
    found = known_protocol(name)
    if found is None:
        known = ", ".join([*PROTOCOLS, *FAMILIES])
        raise RecipeError(
            "R204",
            PROTOCOLS.unknown(name).message,
            f"choose one of: {known}; a protocol of another package needs that package to be installed",
        )
    return found


def known_protocol(name: str) -> Protocol | None:
    """The protocol of this name; None if there is none."""
    # Plug-ins are imported only for a name that is not built in.
    return PROTOCOLS.get(name) or _computed(name) or PROTOCOLS.look_up(name) or _computed(name)


def _computed(name: str) -> Protocol | None:
    for pattern, make in FAMILIES.items():
        try:
            found = make(name)
        except Exception as error:  # of another package: it must not hide the families after it
            if pattern in FAMILIES.own():
                raise
            reason = f"{type(error).__name__}: {error}"
            warn(
                "W243",
                f"{FAMILIES.module_of(pattern)} failed to read '{name}' as a protocol '{pattern}': {reason}; it is not "
                "tried",
                "update or remove the package that provides it",
            )
            continue
        if found is not None:
            return found
    return None


def _edgeai(dataset: str, size: Size, resampling: Resampling) -> Protocol:
    """The protocol of TI's evaluation of its segmentation networks."""
    height, width = size
    return Protocol(
        name=f"edgeai-{dataset}",
        summary=f"class ids at the recipe's input size, then, like the labels, resized (nearest) to {width}x{height}; "
        "absent classes count as 0",
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
        # PyTorch-ENet's nanmean gives the same mean, because all 11 classes occur in each whole split.
        summary="11 classes at 480x360, void pixels dropped, one confusion matrix, mean over 11",
        score_size=(360, 480),
    )
)
register(
    Protocol(
        name="camvid-480x360-tta",
        summary="as camvid-480x360, with the image at 0.75, 1, 1.25 and 1.5 times its size, each also mirrored, "
        "probabilities averaged",
        score_size=(360, 480),
        scales=(0.75, 1.0, 1.25, 1.5),
        flip=True,
    )
)
register(
    Protocol(
        name="camvid-960x720",
        summary="image and labels at 960x720 (CamVid's own size), scored there",
        input_size=(720, 960),
        resampling="linear",
        score_size="input",
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
        name="mmseg-slide-2048x512",
        # As mmsegmentation evaluates ConvNeXt on ADE20K.
        summary="shorter side 512 unless the longer one would exceed 2048, windows of 512x512, 341 apart, their logits "
        "averaged and brought to the label file's own size",
        fit=(512, 2048),
        resampling="linear",
        window=(512, 512),
        window_stride=(341, 341),
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
        summary="image and labels at 2048x1024 (Cityscapes' own size), scored there, absent classes count as 0",
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
        # The paper's 69.7 comes from the test server, which scores at full size; the code base's own script shrinks
        # the labels instead, and its validation score is 72.1.
        summary="image shrunk to 1024x512, logits to the label file's own size as the test server scores",
        input_size=(512, 1024),
    )
)
register(
    Protocol(
        name="slide-1024x1024",
        # As NVlabs' SegFormer is evaluated on Cityscapes.
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


# Last, because it registers into what is defined above.
from pixelwise.recipes import protocol_families as _built_in  # noqa: E402, F401
