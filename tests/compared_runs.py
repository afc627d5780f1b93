"""Runs with results that are made up of single images' confusion matrices, for comparisons."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from results import class_result, miniature

import pixelwise
from pixelwise.errors import RecipeError
from pixelwise.evaluation.comparison.comparing import compare_runs
from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.records.details import ConfusedPixels, ImageDetails, save_details
from pixelwise.records.environment import Arguments, Environment, write_environment
from pixelwise.records.folds.cross_validation import CrossValidation, write_cross_validation
from pixelwise.records.folds.division import HELD_OUT, Division, write_division
from pixelwise.records.log import FinishedRecord, append_log
from pixelwise.records.result import save_result
from pixelwise.records.run_folder import read_recipe
from pixelwise.records.scores import ImageScore
from pixelwise.storage import sha256_bytes

CLASSES = ("grass", "path", "hut")
GOOD, BAD = np.array([0.9, 0.8, 0.8]), np.array([0.6, 0.8, 0.5])
"""How often a pixel of each class is right."""
OTHER = ("optimizer.lr=0.5",)
"""What makes a run one of another recipe."""
THREE = [range(0, 30, 3), range(1, 30, 3), range(2, 30, 3)]
"""Three folds of thirty images."""


def counts(accuracy: np.ndarray, seed: int, images: int = 30) -> np.ndarray:
    """Counts (N, 3, 3) of images whose labels are always the same, and of a network that depends on the seed."""
    truth = np.random.default_rng(0).integers(1, 500, (images, 3))
    return drawn(np.random.default_rng(seed), truth, accuracy)


def compared(*paths: Path, **options: Any) -> Comparison:
    """A comparison with few resamples."""
    return compare_runs(paths, CompareOptions(**{"resamples": 300, **options}))


def refused(*paths: Path, **options: Any) -> RecipeError:
    """Why it is refused."""
    with pytest.raises(RecipeError) as caught:
        compared(*paths, **options)
    return caught.value


def two_cross_validations(folder: Path) -> tuple[Path, Path]:
    """A bad one, `old`, and a good one, `new`, of the same thirty images."""
    old = scored_folds(folder / "old", counts(BAD, 1), THREE)
    return old, scored_folds(folder / "new", counts(GOOD, 2), THREE, overrides=OTHER)


def ids_of(number: int, pattern: str = "i{}") -> list[str]:
    """The ids of as many images; letters, since numbers at their end would be those of a series."""
    return [pattern.format("".join(chr(97 + int(digit)) for digit in f"{place:04d}") + "x") for place in range(number)]


def scored_run(
    folder: Path,
    matrices: np.ndarray,
    seed: int = 0,
    *,
    ids: list[str] | None = None,
    overrides: tuple[str, ...] = (),
    **changes: Any,
) -> Path:
    """A run of which nothing is there but its recipe and one result: (N, K, K) counts, truth in the rows."""
    split, protocol = changes.get("split", "val"), changes.get("protocol", "native")
    evaluation = folder / "evaluations" / f"{split}-{protocol}"
    images, classes = matrices.shape[:2]
    names = ids_of(images) if ids is None else ids
    save_details(
        [
            ImageDetails(
                id=id,
                confusion=tuple(ConfusedPixels(int(t), int(p), int(one[t, p])) for t, p in np.argwhere(one)),
            )
            for id, one in zip(names, matrices, strict=True)
        ],
        evaluation,
    )
    total = matrices.sum(0)
    iou = iou_of(matrices)
    result = miniature(
        **{
            "miou": float(np.nanmean(iou)),
            "per_class": tuple(
                class_result(CLASSES[k] if k < 3 else f"c{k}", float(iou[k]), pixels=int(total[k].sum()))
                for k in range(classes)
            ),
            "confusion_matrix": tuple(map(tuple, total.tolist())),
            "images": images,
            "weights_sha256": sha256_bytes(matrices.tobytes() + bytes([seed])),
            "own_data": True,
            **changes,
        }
    )
    scores = [ImageScore(id=id, miou=math.nan, pixel_accuracy=math.nan, labelled_pixels=1) for id in names]
    save_result(result, scores, evaluation)
    recipe = apply_overrides(pixelwise.recipe("unet"), [f"sampling.seed={seed}", *overrides])
    (folder / "recipe.toml").write_text(to_toml(recipe))
    write_environment(folder, Environment(arguments=Arguments(data="photos")))
    return folder


def scored_folds(
    folder: Path,
    matrices: np.ndarray,
    divided: Sequence[Sequence[int]],
    seed: int = 0,
    *,
    ids: list[str] | None = None,
    group: str | None = None,
    fingerprint: str = "all",
    **changes: Any,
) -> Path:
    """A cross-validation of which nothing is there but its results; `divided` are the images that each fold holds out.

    Args:
        folder: Its folder.
        matrices: (N, K, K) counts of all images, truth in the rows.
        divided: Of each fold, the places of its images.
        seed: Seed of the recipe.
        ids: Ids of all images.
        group: What was asked for as `group`.
        fingerprint: Fingerprint of all images.
        **changes: As for `scored_run`.
    """
    names = ids_of(len(matrices)) if ids is None else ids
    for number, places in enumerate(divided):
        fold = folder / f"fold-{number}"
        prints = {"data_fingerprint": f"{fingerprint}-{number}", "split": HELD_OUT, **changes}
        held_out = [names[place] for place in places]
        scored_run(fold, matrices[list(places)], seed, ids=held_out, **prints)
        others = tuple(name for name in names if name not in held_out)
        write_division(fold, Division(learned={"train": others}, held_out=tuple(held_out)))
        recipe = apply_overrides(read_recipe(fold), [f'evaluation.split="{HELD_OUT}"'])
        (fold / "recipe.toml").write_text(to_toml(recipe))
        append_log(fold, [FinishedRecord(step=1, seconds=1.0)])
    asked = CrossValidation(
        name="unet",
        recipe=to_toml(pixelwise.recipe("unet")),
        options={"folds": len(divided), "group": group},
        data="photos",
        folds=len(divided),
        images=len(names),
        fingerprint=fingerprint,
    )
    write_cross_validation(folder, asked)
    return folder


def iou_of(matrices: np.ndarray) -> np.ndarray:
    """IoU of each class over all images, written down once more; NaN where there is nothing."""
    total = matrices.sum(0)
    right = np.diag(total)
    either = total.sum(0) + total.sum(1) - right
    return np.array([a / b if b else math.nan for a, b in zip(right.tolist(), either.tolist(), strict=True)])


def drawn(random: np.random.Generator, truth: np.ndarray, accuracy: np.ndarray, spread: float = 20.0) -> np.ndarray:
    """Confusions (N, K, K) of images with (N, K) labelled pixels: of each class a share around `accuracy` is right.

    The share differs between the images (a beta distribution), wrong pixels become the next class.
    """
    images, classes = truth.shape
    share = random.beta(accuracy * spread, (1 - accuracy) * spread, (images, classes))
    right = random.binomial(truth, share)
    found = np.zeros((images, classes, classes), np.int64)
    for k in range(classes):
        found[:, k, k] = right[:, k]
        found[:, k, (k + 1) % classes] += truth[:, k] - right[:, k]
    return found
