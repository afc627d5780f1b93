"""Options of `pixelwise.prelabel` and of the verb `prelabel`; never imports torch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options


class PrelabelOptions(Options, frozen=True, kw_only=True):
    """Options of `prelabel`.

    Attributes:
        sure: Probability of the predicted class from which on a pixel keeps its label; pixels below are left open, as
            ignored pixels. 0 keeps every pixel.
        strict: Stop at the first bad file instead of skipping it.
        again: Predict all images but those whose masks were corrected. Without it, an image is left out if its mask is
            here already, made by an earlier call with the same weights and options, and its file has not changed.
        device: Device to run on: `auto` (a GPU if there is one, else `cpu`), `cpu`, `cuda` or `cuda:N`. Artefacts
            always run on the CPU.
        overrides: Settings for reading images that differ from those of the training, such as
            `data.input_range=[0, 65535]`.
        trust: Open an artefact even if its format lets whoever made it run code here (`torch-export`).
    """

    sure: Annotated[float, Meta(ge=0, le=1)] = 0.9
    strict: bool = False
    again: bool = False
    device: str = "auto"
    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    trust: bool = False
