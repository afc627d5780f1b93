"""Which weights a teacher is: the path and the SHA-256 that a run writes into its recipe."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.checkpoints.trained import result_of
from pixelwise.errors import CheckpointError
from pixelwise.observer import Warn
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import read_recipe
from pixelwise.storage import printable


def with_teachers(recipe: Recipe, begun: Recipe | None = None, warn: Warn | None = None) -> Recipe:
    """The recipe with the absolute paths of its teachers and the SHA-256 of their weights.

    Args:
        recipe: The recipe of a run that begins or is resumed; returned as it is without teachers.
        begun: The recipe with which the run began, whose weights the teachers have to have; None: those that `recipe`
            names, if it does.
        warn: Receives warnings about damaged checkpoints.

    Raises:
        CheckpointError: K420, a teacher is not a run; K421, it has no checkpoint yet; K412, all are damaged; K452, its
            weights have another SHA-256.
    """
    section = recipe.distillation
    if not section.teachers:
        return recipe
    folders = [Path(one).expanduser().absolute() for one in section.teachers]
    found = tuple(_weights_sha256(folder, warn) for folder in folders)
    expected = (recipe if begun is None else begun).distillation.teacher_sha256
    if len(expected) == len(found):
        for folder, one, other in zip(folders, found, expected, strict=True):
            require_same(folder, one, other)
    taught = msgspec.structs.replace(section, teacher=_plain(folders), teacher_sha256=found)
    return msgspec.structs.replace(recipe, distillation=taught)


def require_same(teacher: Path, found: str, expected: str) -> None:
    """Refuse weights that are not those that the run learns from.

    Args:
        teacher: Run folder of the teacher.
        found: SHA-256 of its weights.
        expected: SHA-256 in the recipe.

    Raises:
        CheckpointError: K452, they differ.
    """
    if found != expected:
        raise CheckpointError(
            "K452",
            f"the weights of the teacher {printable(teacher)} have SHA-256 {found[:12]}..., "
            f"distillation.teacher_sha256 is {expected[:12]}...: it is another teacher, or was trained on since",
            "name the folder with the original weights (distillation.teacher=RUN), or start a new run to learn from "
            "these",
        )


def _weights_sha256(folder: Path, warn: Warn | None) -> str:
    try:
        recipe = read_recipe(folder)
    except CheckpointError as error:
        raise CheckpointError(
            error.code,
            f"distillation.teacher: {error.message}",
            "add distillation.teacher=RUN with the folder of a run that `pixelwise train` created; a teacher may have "
            "been moved, and an exported network is none",
        ) from error
    checkpoint, name = result_of(folder, recipe, warn)
    return checkpoint.sha256(name)


def _plain(folders: list[Path]) -> str | tuple[str, ...]:
    paths = tuple(map(str, folders))
    return paths[0] if len(paths) == 1 else paths
