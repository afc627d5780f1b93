"""ERFNet, factorised residual blocks."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Preprocessing, Spec, register_spec


@register_spec
class ERFNetSpec(Spec, frozen=True, kw_only=True, tag="erfnet"):
    """ERFNet (Romera et al. 2018, doi:10.1109/TITS.2017.2750080).

    Attributes:
        part: `whole` network, or only the `encoder` with a classifier of its own, which is trained first.
        preprocessing: Normalisation of the input; by default RGB in 0..1, not normalised, as in the published network.
    """

    part: Literal["whole", "encoder"] = "whole"
    preprocessing: Preprocessing = Preprocessing()
