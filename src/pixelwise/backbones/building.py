"""The registry of encoders, of this package and of others, and building an encoder by its name.

When it is imported, a module registers the builder of its encoders under their names, or a source of many encoders
whose names it recognises:

    @register_encoder("mine_small", "mine_large")
    def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder: ...

Registering does not import torch: a builder that imports its network inside the function keeps listing recipes fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from pixelwise.entry_points import warn
from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.suggestions import did_you_mean

if TYPE_CHECKING:
    from pixelwise.backbones.base import Encoder


class EncoderBuilder(Protocol):
    """A function that builds encoders with random weights."""

    def __call__(self, name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder:
        """Build the encoder of the given name.

        Args:
            name: A name that this function is registered for.
            output_stride: Stride of the coarsest feature maps; None: the network's default.
            maps: Number of feature maps needed, counted from the coarsest; None: all. Layers that serve only the
                other maps may be left out; the encoder may return more maps.
            in_channels: Number of bands of the input images.

        Raises:
            RecipeError: R207, the encoder cannot have that output stride.
        """
        ...


AnyBuilder = TypeVar("AnyBuilder", bound=EncoderBuilder)


class Source(NamedTuple):
    """A family of encoders, recognised by their names.

    Attributes:
        matches: Returns whether an encoder of the given name belongs to this source.
        names: Lists the names, for suggestions when a name is misspelt.
        build: Builds an encoder of this source.
    """

    matches: Callable[[str], bool]
    names: Callable[[], Iterable[str]]
    build: EncoderBuilder


_OURS = ("pixelwise.backbones",)
ENCODERS: Registry[EncoderBuilder] = Registry("encoder", RecipeError, "R207", built_in=_OURS, heavy=True)
"""Name -> function that builds the encoder."""
SOURCES: Registry[Source] = Registry("source of encoders", RecipeError, "R207", built_in=_OURS, heavy=True)
"""Name of a library or publisher -> its encoders; encoders registered by name take precedence."""


def register_encoder(*names: str) -> Callable[[AnyBuilder], AnyBuilder]:
    """Register the decorated function as the builder of the encoders of these names.

    Raises:
        RecipeError: R234, a name is already registered.
    """

    def register(build: AnyBuilder) -> AnyBuilder:
        for name in names:
            ENCODERS.add(name, build)
        return build

    return register


def register_encoders(
    source: str, *, matches: Callable[[str], bool], names: Callable[[], Iterable[str]] = tuple
) -> Callable[[AnyBuilder], AnyBuilder]:
    """Register the decorated function as the builder of all encoders whose names `matches` recognises.

    Args:
        source: Name of the library or publisher.
        matches: Returns whether an encoder belongs to this source; called for every name that is not registered.
        names: Lists the names, for suggestions when a name is misspelt.

    Raises:
        RecipeError: R234, the source is already registered.
    """

    def register(build: AnyBuilder) -> AnyBuilder:
        SOURCES.add(source, Source(matches, names, build))
        return build

    return register


def build_encoder(
    name: str, output_stride: int | None = None, *, maps: int | None = None, in_channels: int = 3
) -> Encoder:
    """Build the encoder of the given name, with random weights.

    Args:
        name: A name in `ENCODERS`, or a name of a source such as timm.
        output_stride: Stride of the coarsest feature maps; None: the network's default.
        maps: Number of feature maps needed, counted from the coarsest; None: all. Layers that serve only the
            other maps may be left out; the encoder may return more maps.
        in_channels: Number of bands of the input images.

    Raises:
        RecipeError: R207, there is no such encoder, or it cannot have that output stride.
    """
    return _builder_of(name)(name, output_stride, maps, in_channels)


def _builder_of(name: str) -> EncoderBuilder:
    ours = ENCODERS.own()
    if name in ours:
        return ours[name]
    # Built-in encoders first: otherwise the meaning of a recipe would depend on the packages that are installed.
    for label, source in SOURCES.own().items():
        if source.matches(name):
            if name in ENCODERS:
                other = ENCODERS.module_of(name)
                warn(
                    "W241",
                    f"the encoder '{name}' of {other} is ignored: {label} has an encoder of the same name",
                    "register it under another name",
                )
            return source.build
    others = ENCODERS.all()
    if name in others:
        return others[name]
    for source in SOURCES.all().values():
        if source.matches(name):
            return source.build
    known = [*others, *(one for source in SOURCES.values() for one in source.names())]
    raise RecipeError(
        "R207",
        f"no encoder is named '{name}'{did_you_mean(name, known)}",
        f"choose one of {', '.join(sorted(others))}, or a timm model (`timm.list_models()`), of which resnet18 and "
        "mobilenetv3_large_100 are good small ones; an encoder of another package needs that package installed",
    )


def expect_output_stride(name: str, output_stride: int | None, *choices: int) -> int:
    """Check the output stride of an encoder, and fill in its default.

    Args:
        name: Name of the encoder.
        output_stride: Requested output stride; None: the default, which is the last of `choices`.
        *choices: Output strides that the encoder supports.

    Returns:
        The output stride.

    Raises:
        RecipeError: R207, the encoder does not support that output stride.
    """
    if output_stride is not None and output_stride not in choices:
        raise RecipeError(
            "R207",
            f"the encoder '{name}' supports output stride {' or '.join(map(str, choices))}, not {output_stride}",
            "leave model.output_stride out, or choose another encoder",
        )
    return output_stride or choices[-1]
