"""What a network is: a frozen struct per model family, no torch.

A family registers its spec; the spec's tag (`family`) is what TOML says, and what selects the network in
`pixelwise.models`. Ours are in `pixelwise.recipes.families`.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.schema.augment import Augment
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.training import Sampling

RGB = tuple[float, float, float]
IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a uint8 image becomes the network's input: `(image / 255 - mean) / std`.

    Attributes:
        mean: Per channel, of values in 0..1: RGB, or the channels that `data.channels` names. As many
            numbers as the network has input channels.
        std: Likewise.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise RecipeError(
                "R203",
                f"model.preprocessing has {len(self.mean)} means and {len(self.std)} standard deviations",
                "give one of each per input channel, for example three for RGB",
            )

    @property
    def in_channels(self) -> int:
        """Number of input channels of the network."""
        return len(self.mean)


IMAGENET = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)


class Described(Protocol):
    """The recipe that a network is part of, as far as the network's own rules look at it."""

    @property
    def data(self) -> Data:
        """Which images the network gets."""
        ...

    @property
    def augment(self) -> Augment:
        """What is done to them in training."""
        ...

    @property
    def sampling(self) -> Sampling:
        """How many of them it gets at a time."""
        ...


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="family"):
    """Base of the specs: immutable, unknown fields refused, told apart by `family`.

    A family is a subclass with a `tag`, registered by `register_spec`, and a function that builds its network,
    registered by `pixelwise.models.building.builds`. A field `encoder` names one of `pixelwise.backbones.building`.

    Attributes:
        preprocessing: How a uint8 image becomes the network's input.
    """

    preprocessing: Preprocessing = IMAGENET

    @property
    def family(self) -> str:
        """The tag of its class, such as `fcn`."""
        return family_of(type(self))

    @property
    def encoder_name(self) -> str | None:
        """Name of the encoder, or of the variant of a network without one; None for a network of one piece."""
        return getattr(self, "encoder", None) or getattr(self, "variant", None)

    def check(self, recipe: Described) -> None:
        """Refuse a recipe that a network of this family cannot be trained with; a family without rules takes any.

        Args:
            recipe: The whole recipe; called whenever one is made.

        Raises:
            RecipeError: R203, with the field and a way out.
        """


SPECS: Registry[type[Spec]] = Registry("model family", RecipeError, "R235", built_in=("pixelwise.recipes.families",))
"""Family -> type of its spec."""

AnySpec = TypeVar("AnySpec", bound=Spec)


def register_spec(spec: type[AnySpec]) -> type[AnySpec]:
    """Register a model family: a decorator for its spec.

    Raises:
        TypeError: It is no subclass of `Spec`.
        RecipeError: R234, the tag is another family's.
    """
    if not (isinstance(spec, type) and issubclass(spec, Spec)):
        raise TypeError(f"{spec!r} is no subclass of {Spec.__name__}")
    SPECS.add(family_of(spec), spec)
    return spec


def family_of(spec: type[Spec]) -> str:
    """The tag of a family, such as `fcn`."""
    return str(spec.__struct_config__.tag)
