"""Options of `crossval`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.machine.launched import world_size
from pixelwise.training.options import ResumeOptions, TrainOptions


class CrossvalOptions(TrainOptions, frozen=True, kw_only=True):
    """Options of `crossval`: those of `train`, which apply to each fold, and how the images are divided into folds.

    Attributes:
        folds: Number of folds, each of which is held out by a network of its own.
        group: Regular expression that is searched in the names of images: images with the same match stay in one fold.
            Without it, numbered series stay together if there are enough of them, as for `pixelwise data split`.
        seed: Seed of the division into folds, and of initial weights, order and augmentation. Left out, the division
            has the seed 0 and the recipe decides about the rest.
        crops: Number of likely label mistakes that get a picture.
        queue: Also write DATA/queue.json, by which the label editor of `pixelwise ui` orders the images: those with
            the likeliest label mistakes first.
    """

    folds: Annotated[int, Meta(ge=2)] = 5
    group: str | None = None
    crops: Annotated[int, Meta(ge=0)] = 60
    queue: bool = False

    def of_fold(self, overrides: tuple[str, ...]) -> TrainOptions:
        """The options of the training of a fold.

        Args:
            overrides: Changes to the recipe that every fold has, after those that were asked for.
        """
        values = {name: getattr(self, name) for name in TrainOptions.__struct_fields__}
        return TrainOptions(**{**values, "overrides": (*self.overrides, *overrides), "evaluate": True})

    def recorded(self) -> dict[str, object]:
        """The options as plain values, by their names."""
        return msgspec.to_builtins(self, enc_hook=str)


def refuse_other_changes(options: ResumeOptions) -> None:
    """Refuse to change what all folds have in common.

    Raises:
        RecipeError: R310.
    """
    given = options.all_overrides()
    other = [f"`{name}`" for name in ("devices", "track", "shard") if getattr(options, name) is not None]
    if given or other or not options.evaluate:
        what = ", ".join([*given, *other]) or "`evaluate`"
        raise RecipeError(
            "R310",
            f"{what} would make the folds that are left another experiment than those that are done",
            "resume it with `data` or `device` alone, or begin a new cross-validation",
        )


def refuse_useless(options: CrossvalOptions) -> None:
    """Refuse options that are of no use for a cross-validation.

    Raises:
        RecipeError: R310.
    """
    if world_size() > 1:
        raise RecipeError(
            "R310",
            "a cross-validation trains one fold after the other, and cannot be started by a launcher",
            "start it once, with `devices` for the number of processes that share the work of a fold",
        )
    if options.seeds is not None:
        raise RecipeError(
            "R310",
            "`seeds` trains several runs on the same images, but a cross-validation has one run for each fold",
            "leave `seeds` out; for other seeds, begin a cross-validation with each `seed`",
        )
    if not options.evaluate:
        raise RecipeError(
            "R310", "`evaluate` is false, but a cross-validation is there for its scores", "leave `evaluate` out"
        )
