"""Runs with results that are made up of single images' confusion matrices, for comparisons."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from results import class_result, miniature

import pixelwise
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.records.details import ConfusedPixels, ImageDetails, save_details
from pixelwise.records.environment import Arguments, Environment, write_environment
from pixelwise.records.result import save_result
from pixelwise.records.scores import ImageScore
from pixelwise.storage import sha256_bytes

CLASSES = ("grass", "path", "hut")


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
