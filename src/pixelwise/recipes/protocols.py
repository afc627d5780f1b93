"""Named evaluation protocols, which define how predictions are made and scored.

The published pages compute "mIoU" in several incompatible ways, so a score is never given without the name of its
protocol. A protocol is registered by `register`; protocols whose names contain numbers, such as `slide-512x512`, by a
function that reads the numbers (`register_family`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pixelwise.entry_points import TAKEN, warn
from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.protocol_rules import Protocol, Resampling
from pixelwise.recipes.sizes import Size

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
for _side in (512, 640):
    register(
        Protocol(
            name=f"detectron2-{4 * _side}x{_side}",
            # As detectron2 evaluates on ADE20K, which resizes with Pillow.
            summary=f"shorter side {_side} unless the longer one would exceed {4 * _side}, without aliasing, logits to "
            "the label file's own size",
            fit=(_side, 4 * _side),
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


_SIDES = re.compile(r"([a-z]+)-([1-9]\d*)x([1-9]\d*)")


def _sides(name: str, family: str) -> tuple[int, int] | None:
    """The two numbers of a name such as `slide-24x16`; None if it is not one of the family."""
    found = _SIDES.fullmatch(name)
    return (int(found[2]), int(found[3])) if found is not None and found[1] == family else None


@register_family("within-LONGERxSHORTER")
def _bounds(name: str) -> Protocol | None:
    """Bounds for the sides of images, which may be landscape or portrait, as in `within-928x704`."""
    sides = _sides(name, "within")
    if sides is None:
        return None
    longer, shorter = max(sides), min(sides)
    return Protocol(
        name=name,
        summary=f"longer side {longer} unless the shorter one would exceed {shorter}, logits to the label file's own "
        "size",
        fit=(shorter, longer),
        resampling="area",
    )


@register_family("slide-WIDTHxHEIGHT")
def _windows(name: str) -> Protocol | None:
    """Windows of any size with a stride of three quarters of it, as in `slide-1024x1024`."""
    sides = _sides(name, "slide")
    if sides is None:
        return None
    width, height = sides
    across, down = max(1, width * 3 // 4), max(1, height * 3 // 4)
    return Protocol(
        name=name,
        summary=f"windows of {width}x{height}, {across} apart across and {down} down, their logits averaged, at the "
        "label file's own size",
        window=(height, width),
        window_stride=(down, across),
    )


_SHORT_SIDE = re.compile(r"short-side-([1-9]\d*)")


@register_family("short-side-PIXELS")
def _short_side(name: str) -> Protocol | None:
    """Squares along the longer side, as few as cover it, as EoMT is evaluated: `short-side-512`."""
    found = _SHORT_SIDE.fullmatch(name)
    if found is None:
        return None
    side = int(found[1])
    return Protocol(
        name=name,
        summary=f"shorter side {side}, as few windows of {side}x{side} as cover the longer one, evenly spaced, their "
        "scores averaged and brought to the label file's own size",
        fit=(side, None),
        resampling="linear",
        window=(side, side),
        even_windows=True,
    )
