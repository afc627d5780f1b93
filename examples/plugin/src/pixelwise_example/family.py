"""A model family: what its networks are, and what builds them.

Neither this module nor registering imports PyTorch, so `pixelwise recipes` and `pixelwise show` stay fast; the network
is imported when one is built. Spec and network may as well stand in one module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.models.building import builds
from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.model import Described, Spec, register_spec

if TYPE_CHECKING:
    from pixelwise_example.networks import Dilated


@register_spec
class DilatedSpec(Spec, frozen=True, kw_only=True, tag="example-dilated"):
    """Convolutions of growing dilation at stride 4.

    Attributes:
        channels: Output channels of every convolution.
        dilations: Dilation of each convolution after the stem.
    """

    channels: int = 24
    dilations: tuple[int, ...] = (1, 2, 4)

    def check(self, recipe: Described) -> None:
        """Refuse crops in which the largest dilation sees nothing but padding."""
        crop, reach = recipe.augment.crop, 4 * max(self.dilations, default=0)
        require(
            crop is None or min(crop) > reach,
            f"augment.crop is {list(crop or ())}; model.dilations at stride 4 need more than {reach} pixels",
            "make the crop larger, or model.dilations smaller",
        )


@builds(DilatedSpec)
def build(spec: DilatedSpec, classes: tuple[str, ...]) -> Dilated:
    """The network with PyTorch's own initial weights."""
    from pixelwise_example.networks import Dilated

    return Dilated(spec, classes)
