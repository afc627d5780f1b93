"""The verb `profile`: measure, print, draw."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import torch

from pixelwise.machine.devices import choose_device
from pixelwise.machine.threads import default_threads
from pixelwise.models import build_model
from pixelwise.profiling.forward import profile_forward
from pixelwise.profiling.training import profile_training
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import seen_size
from pixelwise.records.run_folder import ENVIRONMENT, RECIPE, read_recipe
from pixelwise.reports.profiles import draw_training, forward_lines, refuse_picture_format, training_lines
from pixelwise.storage import json_text
from pixelwise.training.runs import use_processor

CLASSES = 19
"""Outputs where neither says how many: those of Cityscapes, for which most of the tables are."""


def show_forward(
    target: str,
    overrides: list[str],
    *,
    size: Size | None,
    num_classes: int | None,
    runs: int,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Profile a network on one image and print the result.

    Args:
        target: Name of a recipe, a `.toml` file or a run folder.
        overrides: Changes to the recipe.
        size: (height, width) of the image; None: as `seen_size` says it.
        num_classes: Outputs; None: the recipe's, or 19 where it leaves them to the data.
        runs: Timed images.
        device: As `choose_device`.
        threads: Of the CPU; None: as training chooses.
        as_json: Print JSON.
    """
    recipe, _ = recipe_of(target, overrides)
    chosen = choose_device(device)
    torch.set_num_threads(threads or default_threads())
    size = size or seen_size(recipe)
    model = build_model(recipe, classes_of(recipe, num_classes))
    profile = profile_forward(model, size, chosen, runs)
    if as_json:
        sys.stdout.write(json_text(profile))
    else:
        sys.stdout.write("\n".join(forward_lines(target, profile)) + "\n")


def classes_of(recipe: Recipe, asked: int | None) -> int | None:
    """Outputs of a network that is only timed; None where the recipe says it."""
    return CLASSES if asked is None and recipe.data.class_names() is None else asked


def show_training(
    target: str,
    overrides: list[str],
    *,
    data: Path | None,
    size: Size | None,
    steps: int,
    device: str,
    threads: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Profile training, print the result and draw it.

    Args:
        target: Name of a recipe, a `.toml` file or a run folder.
        overrides: Changes to the recipe.
        data: Folder of the data set; None: that of the run, or synthetic data.
        size: Of the crop; None: the recipe's.
        steps: Timed steps.
        device: As `choose_device`.
        threads: Of the CPU; None: as training chooses.
        output: Picture to write; None: none.
        as_json: Print JSON.

    Raises:
        RecipeError: R217, `output` names no kind of picture.
    """
    if output is not None:
        refuse_picture_format(output)
    crop = [f"augment.crop=[{size[0]},{size[1]}]"] if size is not None else []
    recipe, begun_on = recipe_of(target, [*overrides, *crop])
    chosen = choose_device(device)
    use_processor(chosen, threads or default_threads())
    profile = profile_training(recipe, data or begun_on, chosen, steps)
    if as_json:
        sys.stdout.write(json_text(profile))
    else:
        sys.stdout.write("\n".join(training_lines(profile)) + "\n")
    if output is not None:
        draw_training(profile, output)


def recipe_of(target: str, overrides: list[str]) -> tuple[Recipe, Path | None]:
    """The recipe that a name, a file or a run folder means, and the data a run began with."""
    folder = Path(target)
    if not (folder / RECIPE).is_file():
        return apply_overrides(find_recipe(target), overrides), None
    environment = msgspec.json.decode((folder / ENVIRONMENT).read_bytes())
    data = environment["arguments"]["data"]
    return apply_overrides(read_recipe(folder), overrides), Path(data) if data is not None else None
