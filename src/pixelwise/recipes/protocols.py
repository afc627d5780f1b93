"""Named evaluation protocols: where and how a score is computed.

The published pages use several incompatible ways to compute "mIoU", so a number never travels
without the name of its protocol.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.suggestions import did_you_mean

Size = tuple[int, int]


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a prediction is made and scored. Sizes are (height, width).

    Attributes:
        name: Key in `PROTOCOLS`.
        summary: One line for tables and reports.
        input_size: Size the network sees; None leaves it to the recipe's `evaluation.input_size`,
            and where that is unset too, to the image itself.
        score_size: Size at which predictions and labels are compared: `native` (the label file's
            own), or a fixed size, to which labels are resized by nearest neighbour.
        absent: What a class counts that occurs neither in labels nor in predictions: left out of
            the mean (`skip`) or 0 (`zero`).
    """

    name: str
    summary: str
    input_size: Size | None = None
    score_size: Size | Literal["native"] = "native"
    absent: Literal["skip", "zero"] = "skip"


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="native",
            summary="whole image, logits bilinearly resized to the label file's own size",
        ),
        Protocol(
            name="camvid-480x360",
            # PyTorch-ENet takes the mean with nanmean: over a whole split all 11 classes occur.
            summary="11 classes at 480x360, void pixels dropped, one confusion matrix, mean over 11",
            score_size=(360, 480),
        ),
        Protocol(
            name="enet-1024x512",
            summary="image (bilinear) and labels (nearest) shrunk to 1024x512, scored there",
            input_size=(512, 1024),
            score_size=(512, 1024),
        ),
    )
}


def protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        RecipeError: R204, with the nearest names.
    """
    if name not in PROTOCOLS:
        raise RecipeError(
            "R204",
            f"no evaluation protocol is named '{name}'{did_you_mean(name, PROTOCOLS)}",
            f"choose one of: {', '.join(PROTOCOLS)}",
        )
    return PROTOCOLS[name]
