"""A model family: the spec of its networks, and the function that builds them.

Neither this module nor its registration imports PyTorch, so `pixelwise recipes` and `pixelwise show` stay fast; the
network's module is imported when a network is built. Spec and network may also be in one module.
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
    """Convolutions with increasing dilation at stride 4.

    Attributes:
        channels: Width of every convolution.
        dilations: Dilation of each convolution after the stem.
    """

    channels: int = 24
    dilations: tuple[int, ...] = (1, 2, 4)

    def check(self, recipe: Described) -> None:
        """Refuse crops in which the largest dilation reaches only padding."""
        crop, reach = recipe.augment.crop, 4 * max(self.dilations, default=0)
        require(
            crop is None or min(crop) > reach,
            f"augment.crop is {list(crop or ())}; model.dilations at stride 4 needs more than {reach} pixels per side",
            "use a larger augment.crop or smaller model.dilations",
        )


@builds(DilatedSpec)
def build(spec: DilatedSpec, classes: tuple[str, ...]) -> Dilated:
    """Build the network with PyTorch's default initialization."""
    from pixelwise_example.networks import Dilated

    return Dilated(spec, classes)
