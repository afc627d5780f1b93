"""The recipe held against the data, with its stages."""

from __future__ import annotations

from pixelwise.errors import RecipeError
from pixelwise.recipes.overrides import field_of, toml_value
from pixelwise.recipes.schema.recipe import Recipe, Stage
from pixelwise.recipes.sizes import Size
from pixelwise.training.settings.batches import unfit_batches, unfit_sampling
from pixelwise.training.settings.course import unfit_course
from pixelwise.training.settings.unfit import Unfit, extent
from pixelwise.training.stages import stage_recipe

ROUNDS = 4
"""Changing one setting may make another unfit; fitting values are found within so many rounds."""

LENGTH, BATCH, CROP = "schedule.epochs", "sampling.batch_size", "augment.crop"
DEPENDS_ON = {
    "W511": (LENGTH, BATCH),
    "W512": (LENGTH, BATCH),
    "W513": (LENGTH, BATCH, "ema.decay"),
    "W514": (LENGTH, "selection.every_epochs"),
    "W515": (BATCH,),
    "W516": (CROP,),
    "W517": (LENGTH, CROP),
    "W518": (BATCH, CROP),
    "W519": (LENGTH, BATCH),
}
"""Code -> fields that decide whether a setting fits; while one of them is still to be planned, nothing can be said."""


def unfit_settings(recipe: Recipe, images: int, size: Size | None) -> list[Unfit]:
    """The settings of a recipe and of its stages that cannot have their effect on data of this number and size.

    Args:
        recipe: The recipe.
        images: Number of usable training images, 1 or more.
        size: (height, width) of the usual image; None if unknown.

    Returns:
        Each with the overrides with which it fits; applied, they silence it. Settings that depend on fields which are
        chosen when training begins (`Recipe.planned`) are left out; they are held against the data then.
    """
    found = [one for one in _unfit(recipe, images, size) if not set(DEPENDS_ON[one.code]) & set(recipe.planned)]
    of_stages = {stage.name: _unfit(stage_recipe(recipe, stage), images, size) for stage in recipe.stages}
    if any(of_stages.values()):
        stages = tuple(_fitted(recipe, stage, images, size) for stage in recipe.stages)
        fits = f"stages={toml_value([{'name': one.name, 'overrides': list(one.overrides)} for one in stages])}"
        found += [
            Unfit(code=one.code, message=f"stage '{name}': {one.message}", overrides=(fits,))
            for name, unfit in of_stages.items()
            for one in unfit
        ]
    return found


def _unfit(recipe: Recipe, images: int, size: Size | None) -> list[Unfit]:
    try:
        run = extent(recipe, images, size)
    except RecipeError:  # R211: there is no step that anything else could be held against
        return list(unfit_sampling(recipe.sampling, images))
    return [*unfit_course(recipe, run), *unfit_batches(recipe, run)]


def _fitted(recipe: Recipe, stage: Stage, images: int, size: Size | None) -> Stage:
    """The stage with overrides that fit, in addition to its own."""
    overrides = list(stage.overrides)
    for _ in range(ROUNDS):
        changed = stage_recipe(recipe, Stage(name=stage.name, overrides=tuple(overrides)))
        unfit = _unfit(changed, images, size)
        if not unfit:
            break
        fits = [override for one in unfit for override in one.overrides]
        paths = {field_of(override) for override in fits}
        overrides = [one for one in overrides if field_of(one) not in paths] + fits
    return Stage(name=stage.name, overrides=tuple(overrides))
