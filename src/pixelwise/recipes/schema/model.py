"""The base of network specs: one frozen struct per model family, without torch.

A family registers its spec; the tag of the spec (`family`) identifies the family in TOML and selects the network in
`pixelwise.models`. The built-in families are in `pixelwise.recipes.families`.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, TypeVar

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.schema.augment import Augment
from pixelwise.recipes.schema.base import require, require_writable
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.training import Sampling

RGB = tuple[float, float, float]
IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Normalisation of a uint8 image for the network: `(image / 255 - mean) / std`.

    Attributes:
        mean: Mean of each input channel, for values in 0..1: RGB, or the channels listed in `data.channels`. Its
            length is the number of the network's input channels.
        std: Standard deviation of each input channel, on the same scale.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise RecipeError(
                "R203",
                f"model.preprocessing has {len(self.mean)} means and {len(self.std)} standard deviations",
                "give one mean and one standard deviation per input channel, for example three of each for RGB",
            )

    @property
    def in_channels(self) -> int:
        """Number of input channels of the network."""
        return len(self.mean)


IMAGENET = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)


class Described(Protocol):
    """The recipe that a network is part of, reduced to the sections that a family's rules can check."""

    @property
    def data(self) -> Data:
        """The `data` section."""
        ...

    @property
    def augment(self) -> Augment:
        """The `augment` section."""
        ...

    @property
    def loss(self) -> Loss:
        """The `loss` section."""
        ...

    @property
    def sampling(self) -> Sampling:
        """The `sampling` section."""
        ...


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="family"):
    """Base of the specs: immutable, unknown fields refused, identified by `family`.

    A family consists of a subclass with a `tag`, registered by `register_spec`, and a function that builds its network,
    registered by `pixelwise.models.building.builds`. A field `encoder` names an encoder of
    `pixelwise.backbones.building`.

    Attributes:
        preprocessing: Normalisation of the input.
        boundary_head: Whether the networks have a boundary head, see `SegmentationModel`, which some loss terms need.
        mask_classification: Whether the networks predict masks and their classes, see `SegmentationModel`, which are
            trained by `loss.matching` instead of the loss terms.
    """

    boundary_head: ClassVar[bool] = False
    mask_classification: ClassVar[bool] = False

    preprocessing: Preprocessing = IMAGENET

    @property
    def family(self) -> str:
        """The tag of the family, such as `fcn`."""
        return family_of(type(self))

    @property
    def encoder_name(self) -> str | None:
        """Name of the encoder, or of the variant for a network without one; None if it has neither."""
        return getattr(self, "encoder", None) or getattr(self, "variant", None)

    def check(self, recipe: Described) -> None:
        """Refuse a recipe that a network of this family cannot be trained with; called whenever a recipe is created.

        The default accepts any recipe.

        Raises:
            RecipeError: R203, with the field and a way out.
        """


SPECS: Registry[type[Spec]] = Registry("model family", RecipeError, "R235", built_in=("pixelwise.recipes.families",))
"""Spec types by family."""

AnySpec = TypeVar("AnySpec", bound=Spec)


def register_spec(spec: type[AnySpec]) -> type[AnySpec]:
    """Register a model family by decorating its spec.

    Raises:
        TypeError: The class is not a subclass of `Spec`, or a field loses None in TOML.
        RecipeError: R234, another family has the same tag.
    """
    if not (isinstance(spec, type) and issubclass(spec, Spec)):
        raise TypeError(f"{spec!r} is not a subclass of {Spec.__name__}")
    require_writable(spec)
    SPECS.add(family_of(spec), spec)
    return spec


def family_of(spec: type[Spec]) -> str:
    """The tag of a family, such as `fcn`."""
    return str(spec.__struct_config__.tag)


def check_mask_classification(recipe: Described, name: str, queries: int) -> None:
    """Refuse what a network that predicts masks and their classes cannot learn.

    Args:
        recipe: The recipe of the network.
        name: Name of the network, for messages.
        queries: Number of its queries, each of which predicts one mask.

    Raises:
        RecipeError: R203, the data is multi-label, there is no query, or fewer than classes that have one each.
    """
    require(
        not recipe.data.multilabel,
        f"{name} needs pixels of exactly one class, but the data is multi-label (data.multilabel)",
        "choose another network, for example model.family=unet",
    )
    require(queries >= 1, f"model.queries is {queries}; expected 1 or more", "for example 100")
    known, matching = recipe.data.class_names() or (), recipe.loss.matching
    require(
        matching is None or matching.assignment == "hungarian" or len(known) <= queries,
        f"loss.matching.assignment=fixed needs a query for each of the {len(known)} classes; model.queries is "
        f"{queries}",
        f"set model.queries={len(known)}, or loss.matching.assignment=hungarian",
    )
