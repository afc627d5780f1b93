"""Which members of samples, or columns of tables, are the images and which the masks: told by their names, or asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pixelwise.datasets.layouts.words import Kind, kind_of
from pixelwise.errors import DataError
from pixelwise.suggestions import did_you_mean

LOSSY, LOSSLESS = "jpg", "png"
"""Fields of members that have nothing but an extension: those of JPEG files, and all others."""
_MOSTLY = 0.5
_IMAGE_NAMES = {"pixel_values"}
"""Names of images that no word tells."""


class Fields(NamedTuple):
    """Fields as somebody names them; None for one that is told by its name.

    Attributes:
        image: `data.image_field`.
        mask: `data.mask_field`.
    """

    image: str | None = None
    mask: str | None = None


class Chosen(NamedTuple):
    """The fields of the images, of which a sample has one, and that of the masks; None if masks are not wanted."""

    image: tuple[str, ...]
    mask: str | None

    @property
    def in_words(self) -> str:
        """`jpg with mask`."""
        images = " or ".join(self.image)
        return images if self.mask is None else f"{images} with {self.mask}"


def choose(
    found: Mapping[str, int], together: int, asked: Fields, *, where: str, what: str, labelled: bool = True
) -> Chosen:
    """Choose the fields of images and masks.

    Args:
        found: Name of each field that holds pictures -> number of samples that have it.
        together: Number of samples with both a JPEG file and another picture that have nothing but an extension; most
            samples being so, the latter are the masks.
        asked: The fields that somebody named.
        where: What messages call the data.
        what: What the fields are: `members of samples` or `columns`.
        labelled: Whether masks are wanted.

    Raises:
        DataError: D274, several fields may be the images or the masks, or none, or one that was named is not there.
    """
    for option, name in (("image", asked.image), ("mask", asked.mask)):
        if name is not None and name not in found and (option == "image" or labelled):
            raise DataError(
                "D274",
                f"{where}: data.{option}_field is '{name}', but there are no such {what}{did_you_mean(name, found)}",
                f"{what} that hold pictures: {_listed(found) or 'none'}",
            )
    paired = together > _MOSTLY * max(found.get(LOSSY, 0), found.get(LOSSLESS, 0), 1)
    masks = [asked.mask] if asked.mask else [name for name in found if _kind(name) is Kind.MASKS]
    if not masks and paired and asked.image in (None, LOSSY):
        masks = [LOSSLESS]
    images = [asked.image] if asked.image else _images(found, masks, paired)
    if not images:
        # The only one that is left.
        others = [name for name in found if name not in masks]
        images = others if len(others) == 1 else []
    if not images or (len(images) > 1 and (paired or set(images) != {LOSSY, LOSSLESS})):
        raise _ask("image", images, found, where, what)
    if not labelled:
        return Chosen(tuple(images), None)
    masks = [name for name in masks if name not in images]
    if len(masks) != 1:
        raise _ask("mask", masks, found, where, what)
    return Chosen(tuple(images), masks[0])


def _images(found: Mapping[str, int], masks: Sequence[str], paired: bool) -> list[str]:
    named = [name for name in found if _kind(name) is Kind.IMAGES]
    bare = [name for name in (LOSSY, LOSSLESS) if name in found and name not in masks]
    return [*named, *bare]


def _kind(name: str) -> Kind | None:
    return Kind.IMAGES if name in _IMAGE_NAMES else kind_of(name)


def _ask(option: str, several: Sequence[str], found: Mapping[str, int], where: str, what: str) -> DataError:
    pictures = {"image": "images", "mask": "masks"}[option]
    state = f"several {what} may be the {pictures}" if several else f"no {what} are named like {pictures}"
    example = next(iter(several or found), option)
    return DataError(
        "D274",
        f"{where}: {state}: {_listed({name: found[name] for name in several} if several else found) or 'none'}",
        f"say which are meant, for example data.{option}_field={example}",
    )


def _listed(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({number})" for name, number in found.items())
