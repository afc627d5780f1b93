"""A published row from end to end on a miniature of its data: audit, two training steps, evaluation."""

from __future__ import annotations

import math
import time
from pathlib import Path

import msgspec

from pixelwise.evaluation.runs import score_by_name
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.overrides import changes_between, with_parts
from pixelwise.recipes.published.pages import PAGES, read_page
from pixelwise.recipes.schema.recipe import Initialize, Recipe, Role, fields_with, to_plain
from pixelwise.recipes.schema.roles import without
from pixelwise.testing.miniatures import write_miniature
from pixelwise.training.runs import train
from pixelwise.training.stages import stage_recipe

CROP = 128
"""Largest side of the training crops here; everything before the crop happens at the row's own sizes."""
BATCH = 2
STEPS = 2


class RowTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What running a row on a miniature gave.

    Attributes:
        recipe: The row's id.
        dataset: Its data set.
        protocol: By which it was scored.
        changes: What was changed for the trial.
        stages: The trainings that came before the row's own.
        quantization: What the row's own training imitates; `none`: floating point.
        images: Scored.
        miou: 0..1, of a network after two steps: it means nothing, but it is a number.
        seconds: Everything, on whatever else the machine did.
    """

    recipe: str
    dataset: str
    protocol: str
    changes: tuple[str, ...]
    stages: tuple[str, ...]
    quantization: str
    images: int
    miou: float
    seconds: float


def published_rows() -> list[str]:
    """The ids of the rows of the five pages, in the order of the catalogue."""
    on_pages = {row.recipe for page in PAGES for _, row in read_page(page).rows()}
    return [name for name in list_recipes() if name in on_pages]


def trial_recipe(entry: Recipe) -> Recipe:
    """A row made small enough to be tried: crop, batch and length, and no downloads; its stages likewise."""
    small = _shrunk(entry)
    stages = []
    for stage in entry.stages:
        inherited = stage_recipe(small, msgspec.structs.replace(stage, overrides=()))
        overrides = changes_between(inherited, _shrunk(stage_recipe(entry, stage)))
        stages.append(msgspec.structs.replace(stage, overrides=tuple(overrides)))
    return with_parts(small, stages=tuple(stages))


def _shrunk(recipe: Recipe) -> Recipe:
    crop = recipe.augment.crop
    return with_parts(
        recipe,
        sampling=msgspec.structs.replace(recipe.sampling, batch_size=BATCH),
        schedule=msgspec.structs.replace(recipe.schedule, iterations=STEPS, epochs=None),
        selection=msgspec.structs.replace(recipe.selection, every_epochs=0, weights="last"),
        initialize=Initialize(recipe=recipe.initialize.recipe, run=recipe.initialize.run),
        data=msgspec.structs.replace(recipe.data, workers=0),
        augment=msgspec.structs.replace(recipe.augment, crop=crop and (min(crop[0], CROP), min(crop[1], CROP))),
    )


def try_row(name: str, miniatures: Path, output: Path) -> RowTrial:
    """Train a published row for two steps and score it by its protocol.

    Args:
        name: The row's id.
        miniatures: Folder of the miniatures; the one that is needed is drawn if it is not there.
        output: Run folder to create.

    Returns:
        What came out; its result file lies in the run folder.

    Raises:
        PixelwiseError: Something of it does not work.
        AssertionError: The score is no number.
    """
    began = time.monotonic()
    entry = recipe(name)
    data = miniatures / entry.data.dataset
    if not data.exists():
        write_miniature(entry.data.dataset, data, (4, 1))
    trial = trial_recipe(entry)
    run = train(trial, data=data, output=output, threads=None)
    (result,) = score_by_name(run)
    if math.isnan(result.miou):
        raise AssertionError(f"{name}: the mIoU is no number")
    return RowTrial(
        recipe=name,
        dataset=entry.data.dataset,
        protocol=result.protocol,
        changes=tuple(changes_between(entry, trial)),
        stages=tuple(stage.name for stage in entry.stages),
        quantization=entry.quantization,
        images=result.images,
        miou=result.miou,
        seconds=time.monotonic() - began,
    )


def distinct_pipelines() -> dict[str, str]:
    """One row for each distinct pipeline (everything but the network), the cheapest network of each.

    Returns:
        Row id -> the ids of the rows that share its pipeline, in one text.
    """
    groups: dict[bytes, list[str]] = {}
    for name in published_rows():
        plain = without(to_plain(recipe(name)), fields_with(Role.NAME, Role.TEXT, Role.CLAIM, Role.START))
        plain["model"] = plain["model"]["preprocessing"]
        groups.setdefault(msgspec.json.encode(plain, order="sorted"), []).append(name)

    def cost(name: str) -> float:
        published = recipe(name).published
        return published.original.gmacs or math.inf if published and published.original else math.inf

    return {min(names, key=cost): ", ".join(names) for names in groups.values()}
