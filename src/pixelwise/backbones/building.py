"""From an encoder's name to the encoder: a registry that ours and those of other packages are in.

A module registers what builds its encoders when it is imported, by their names, or as a source of many whose names it
recognises:

    @register_encoder("mine_small", "mine_large")
    def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder: ...

Registering imports no torch: a function that imports its network inside keeps listing recipes fast.
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
    """What builds encoders, with random weights."""

    def __call__(self, name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder:
        """The encoder of that name.

        Args:
            name: One that this was registered for.
            output_stride: Stride of the coarsest feature maps; None: the network's own.
            maps: How many of the feature maps are needed, counted from the coarsest; None: all. Layers that
                exist for others only may be left out; more maps may be given.
            in_channels: Channels of the images.

        Raises:
            RecipeError: R207, it cannot have that output stride.
        """
        ...


AnyBuilder = TypeVar("AnyBuilder", bound=EncoderBuilder)


class Source(NamedTuple):
    """Many encoders, told by their names.

    Attributes:
        matches: Whether an encoder is one of them.
        names: Lists them, for near misses.
        build: Builds one of them.
    """

    matches: Callable[[str], bool]
    names: Callable[[], Iterable[str]]
    build: EncoderBuilder


_OURS = ("pixelwise.backbones",)
ENCODERS: Registry[EncoderBuilder] = Registry("encoder", RecipeError, "R207", built_in=_OURS, heavy=True)
"""Name -> what builds the encoder."""
SOURCES: Registry[Source] = Registry("source of encoders", RecipeError, "R207", built_in=_OURS, heavy=True)
"""Name of a library or a publisher -> its encoders. They come after those that are registered by name."""


def register_encoder(*names: str) -> Callable[[AnyBuilder], AnyBuilder]:
    """Register the decorated function as what builds the encoders of these names.

    Raises:
        RecipeError: R234, a name is taken.
    """

    def register(build: AnyBuilder) -> AnyBuilder:
        for name in names:
            ENCODERS.add(name, build)
        return build

    return register


def register_encoders(
    source: str, *, matches: Callable[[str], bool], names: Callable[[], Iterable[str]] = tuple
) -> Callable[[AnyBuilder], AnyBuilder]:
    """Register the decorated function as what builds all encoders whose names `matches` recognises.

    Args:
        source: Name of the library or the publisher.
        matches: Whether an encoder is one of them; asked for every name that nobody has registered.
        names: Lists them, for near misses.

    Raises:
        RecipeError: R234, the source is registered already.
    """

    def register(build: AnyBuilder) -> AnyBuilder:
        SOURCES.add(source, Source(matches, names, build))
        return build

    return register


def build_encoder(
    name: str, output_stride: int | None = None, *, maps: int | None = None, in_channels: int = 3
) -> Encoder:
    """The encoder of that name, with random weights.

    Args:
        name: One of `ENCODERS`, or one of a source such as timm.
        output_stride: Stride of the coarsest feature maps; None: the network's own.
        maps: How many of the feature maps are needed, counted from the coarsest; None: all. Layers that
            exist for others only are left out; maps that come anyway are given.
        in_channels: Channels of the images.

    Raises:
        RecipeError: R207, there is no such encoder, or it cannot have that output stride.
    """
    return _builder_of(name)(name, output_stride, maps, in_channels)


def _builder_of(name: str) -> EncoderBuilder:
    ours = ENCODERS.own()
    if name in ours:
        return ours[name]
    # Before those of other packages, which would else change what a recipe means depending on what is installed.
    for label, source in SOURCES.own().items():
        if source.matches(name):
            if name in ENCODERS:
                other = ENCODERS.module_of(name)
                warn("W241", f"the encoder '{name}' of {other} is not used: {label} has that name", "rename it")
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
        f"known are {', '.join(sorted(others))} and timm's models (`timm.list_models()`), of which resnet18 and "
        "mobilenetv3_large_100 are good small ones; one of another package needs that package installed",
    )


def expect_output_stride(name: str, output_stride: int | None, *choices: int) -> int:
    """The output stride of an encoder.

    Args:
        name: Name of the encoder.
        output_stride: The one asked for; None: the network's own, which is the last of `choices`.
        *choices: Those that it can have.

    Raises:
        RecipeError: R207, it cannot have that one.
    """
    if output_stride is not None and output_stride not in choices:
        raise RecipeError(
            "R207",
            f"the encoder '{name}' has output stride {' or '.join(map(str, choices))}, not {output_stride}",
            "leave model.output_stride out, or choose another encoder",
        )
    return output_stride or choices[-1]
