"""What `pixelwise.predict` and the verb `predict` can be asked for; never imports torch."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.options import Options
from pixelwise.recipes.sizes import Size

PaletteName = Literal["official", "cvd"]
"""The data set's own colours, or colours that colour-blind eyes can tell apart."""

MaskFormat = Literal["ids", "cityscapes", "voc", "ade20k"]
"""`ids`: class ids in the model's own order, with a palette; `cityscapes`: 8-bit labelIds (road is 7);
`voc`: class ids with VOC's palette; `ade20k`: 8-bit, class id + 1. Ignored is 255, 0, 255 and 0."""


class PredictOptions(Options, frozen=True, kw_only=True):
    """What is written, and how images are seen.

    Attributes:
        overlay: Write overlays beside the masks.
        alpha: Opacity of the colours in overlays, from 0 (the image only) to 1 (the colours only).
        palette: Colours of overlays and of masks of class ids: the data set's own (`official`), or colours that
            colour-blind eyes can tell apart (`cvd`).
        mask_format: What masks hold: class ids, or the values that a benchmark's server reads.
        window: Size of overlapping windows through which images are seen, for example 1024x1024; left out, the protocol
            decides.
        strict: Stop at the first bad file instead of skipping it.
        device: Where the network computes: `auto` takes a GPU where there is one, else `cpu`. Artefacts compute on the
            CPU.
    """

    overlay: bool = True
    alpha: Annotated[float, Meta(ge=0, le=1)] = 0.5
    palette: PaletteName = "official"
    mask_format: Annotated[MaskFormat, Meta(extra={"flag": "--format"})] = "ids"
    window: Annotated[Size | None, Meta(extra={"metavar": "WIDTHxHEIGHT"})] = None
    strict: bool = False
    device: str = "auto"
