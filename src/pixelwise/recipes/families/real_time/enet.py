"""ENet, a small encoder and decoder."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Preprocessing, Spec, register_spec


@register_spec
class ENetSpec(Spec, frozen=True, kw_only=True, tag="enet"):
    """ENet (Paszke et al. 2016, arXiv:1606.02147) in one of the two graphs of PyTorch-ENet.

    Attributes:
        graph: Variant of the network. `overlapping` is the one of the published results (2019-08): overlapping 3x3
            pooling windows, 3x3 transposed convolutions, inputs padded to multiples of 8. `any-size` is the later one
            (2021): 2x2 pooling, 2x2 transposed convolutions, any input size.
        preprocessing: Normalisation of the input; by default RGB in 0..1, not normalised, as in the published networks.
    """

    graph: Literal["overlapping", "any-size"] = "any-size"
    preprocessing: Preprocessing = Preprocessing()
