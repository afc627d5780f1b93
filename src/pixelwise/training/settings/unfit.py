"""A setting that does not fit the data, and the numbers that the settings are held against."""

from __future__ import annotations

import math
import shlex

import msgspec

from pixelwise.recipes.lengths import steps_per_epoch, total_steps
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.storage.names import counted


class Unfit(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that does not fit the data.

    Attributes:
        code: Code of the warning, explained in docs/errors.md.
        message: The field and its value, the numbers of the data, and the consequence.
        overrides: Changes with which the setting fits.
    """

    code: str
    message: str
    overrides: tuple[str, ...]

    @property
    def fix(self) -> str:
        """The overrides as words of a command line."""
        return shlex.join(self.overrides)

    @property
    def sentence(self) -> str:
        """The message with the overrides that fit."""
        return f"{self.message}; {self.fix} fits"


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """The extent of a training.

    Attributes:
        images: Number of usable training images.
        per_epoch: Number of optimizer steps per epoch.
        steps: Number of optimizer steps.
        size: (height, width) of most images; None if unknown.
    """

    images: int
    per_epoch: int
    steps: int
    size: Size | None

    @property
    def epochs(self) -> int:
        """Number of epochs, of which the last may be incomplete."""
        return math.ceil(self.steps / self.per_epoch)

    @property
    def in_words(self) -> str:
        """`27 steps (9 epochs of 3 steps, 10 images)`."""
        epochs, images = counted(self.epochs, "epoch"), counted(self.images, "training image")
        return f"{counted(self.steps, 'step')} ({epochs} of {counted(self.per_epoch, 'step')}, {images})"


def extent(recipe: Recipe, images: int, size: Size | None) -> Extent:
    """The extent of a training.

    Args:
        recipe: The recipe.
        images: Number of usable training images.
        size: (height, width) of most images; None if unknown.

    Raises:
        RecipeError: R211, the images do not fill one step.
    """
    per_epoch = steps_per_epoch(images, recipe.sampling)
    return Extent(images=images, per_epoch=per_epoch, steps=total_steps(recipe.schedule, per_epoch), size=size)
