"""Trials of published rows on miniatures of their data sets: audit, two training steps, evaluation."""

from __future__ import annotations

import math
import time
from pathlib import Path

import msgspec

from pixelwise.evaluation.runs import score_by_name
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.overrides import changes_between, with_parts
from pixelwise.recipes.published.pages import COMPILED, PAGES, read_page
from pixelwise.recipes.schema.recipe import Initialize, Recipe, Role, fields_with, to_plain
from pixelwise.recipes.schema.roles import without
from pixelwise.testing.miniatures import write_miniature
from pixelwise.training.runs import train
from pixelwise.training.stages import stage_recipe

CROP = 128
"""Largest side of the training crops in a trial; all steps before the crop run at the row's own sizes."""
BATCH = 2
STEPS = 2


class RowTrial(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a trial of a published row.

    Attributes:
        recipe: Id of the row.
        dataset: Name of the row's data set.
        protocol: Name of the evaluation protocol.
        changes: Changes to the recipe for the trial.
        stages: Names of the training stages before the row's own.
        quantization: Quantization scheme of the row's own training; `none` for floating point.
        images: Number of images that were scored.
        miou: Mean IoU of the network after two steps, 0..1; meaningless, but never NaN.
        seconds: Wall-clock time of the trial; other load on the machine may have slowed it down.
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
    """Ids of the rows of all transcribed pages, in the order of the catalogue."""
    return _rows_of(PAGES)


def modern_rows() -> list[str]:
    """Ids of the rows of all pages that are compiled here, in the order of the catalogue."""
    return _rows_of(COMPILED)


def _rows_of(pages: tuple[str, ...]) -> list[str]:
    on_pages = {row.recipe for page in pages for _, row in read_page(page).rows()}
    return [name for name in list_recipes() if name in on_pages]


def trial_recipe(entry: Recipe) -> Recipe:
    """A row's recipe with smaller crop and batch size, few steps and no downloads, its stages included."""
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
        name: Id of the row.
        miniatures: Folder of the miniatures; the one of the row's data set is written there if it is missing.
        output: Run folder to create.

    Returns:
        Result of the trial; its result file is in the run folder.

    Raises:
        PixelwiseError: A step of the pipeline fails.
        AssertionError: The mIoU is NaN.
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
        raise AssertionError(f"{name}: the mIoU is NaN")
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
    """One row per distinct pipeline (recipe without the network), namely the one with the fewest MACs.

    Returns:
        Row id -> comma-separated ids of all rows with the same pipeline.
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
