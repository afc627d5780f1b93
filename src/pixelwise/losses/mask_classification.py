"""The loss of networks that predict masks and their classes, compared with the labels at points.

Cheng et al., CVPR 2022, arXiv:2112.01527, with the points of Kirillov et al., CVPR 2020, arXiv:1912.08193. Which points
are drawn depends on a seed and the number of the layer alone, so that a resumed training draws the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.pixels import labelled_classes
from pixelwise.losses.segmentation import Truth
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.schema.matching import Matching


class Pairs(NamedTuple):
    """Masks of the labels, each with the query that it is assigned to in one layer; all tensors are of length M.

    Attributes:
        images: Number of the image in the batch, int64.
        queries: Number of the query, int64.
        classes: Class id, int64.
        weights: 1 for a mask that exists, 0 for one that does not, floating point.
    """

    images: Tensor
    queries: Tensor
    classes: Tensor
    weights: Tensor


def mask_loss(
    outputs: Sequence[Tensor], truth: Truth, matching: Matching, *, seed: int, ranks: Ranks = ALONE
) -> Tensor:
    """The sum of the losses of all layers, each with points and an assignment of its own.

    Args:
        outputs: `SegmentationModel.training_outputs`: logits of masks (B, Q, h, w) and of classes (B, Q, K + 1) per
            layer.
        truth: Labels (B, H, W), 0..K-1 or 255, which are in no mask; for `hungarian` also the classes of each image,
            without which the labels are copied to the host.
        matching: Section `loss.matching` of the recipe.
        seed: Seed of the points.
        ranks: The processes that have the other images of the batch, see `segmentation_loss`.

    Returns:
        Scalar.

    Raises:
        RecipeError: R203, `fixed` has fewer queries than classes; R240, `hungarian` needs scipy.
    """
    layers = [
        (at_least_float32(masks), at_least_float32(classes))
        for masks, classes in zip(outputs[::2], outputs[1::2], strict=True)
    ]
    labels = truth.labels
    generators = [_generator(labels.device, seed, number) for number in range(len(layers))]
    if matching.assignment == "fixed":
        pairs = [fixed_pairs(labels, *layers[0])] * len(layers)
    else:
        present = truth.classes if truth.classes is not None else labelled_classes(labels.cpu())
        pairs = hungarian_pairs(layers, labels, present, matching, generators)
    # Every layer has the same masks.
    number = ranks.sum(pairs[0].weights.sum()).clamp(min=1)
    total = layers[0][0].new_zeros(())
    for (masks, classes), assigned, generator in zip(layers, pairs, generators, strict=True):
        points = _points(masks, assigned, matching, generator)
        total = total + _of_masks(masks, labels, assigned, points, matching, number, ranks)
        total = total + matching.classification * _of_classes(classes, assigned, matching.no_object, ranks)
    return total


def fixed_pairs(labels: Tensor, masks: Tensor, classes: Tensor) -> Pairs:
    """Query k for the mask of class k, in every image; masks of classes that do not occur have no weight.

    Raises:
        RecipeError: R203, there are fewer queries than classes.
    """
    batch, number, known = len(labels), masks.shape[1], classes.shape[2] - 1
    if number < known:
        raise RecipeError(
            "R203",
            f"loss.matching.assignment=fixed needs a query for each of the {known} classes; model.queries is {number}",
            f"set model.queries={known}, or loss.matching.assignment=hungarian",
        )
    device = labels.device
    found = torch.zeros(batch, 256, device=device, dtype=masks.dtype)
    found.scatter_(1, labels.flatten(1).long(), 1.0)
    of_class = torch.arange(known, device=device).repeat(batch)
    return Pairs(
        torch.arange(batch, device=device).repeat_interleave(known), of_class, of_class, found[:, :known].flatten()
    )


@torch.no_grad()
def hungarian_pairs(
    layers: Sequence[tuple[Tensor, Tensor]],
    labels: Tensor,
    present: Sequence[Sequence[int]],
    matching: Matching,
    generators: Sequence[torch.Generator],
) -> list[Pairs]:
    """Per layer, the assignment of masks to queries with the lowest sum of costs; the device is asked once.

    Args:
        layers: Logits of masks (B, Q, h, w) and of classes (B, Q, K + 1) per layer.
        labels: (B, H, W).
        present: The classes of each image, without 255.
        matching: Section `loss.matching` of the recipe.
        generators: The random generator of each layer.
    """
    solve = assignment_solver()
    device, queries = labels.device, layers[0][0].shape[1]
    counts = [len(ids) for ids in present]
    images = torch.tensor([image for image, count in enumerate(counts) for _ in range(count)], dtype=torch.int64)
    classes = torch.tensor([one for ids in present for one in ids], dtype=torch.int64)
    there, ids = images.to(device, non_blocking=True), classes.to(device, non_blocking=True)
    costs = torch.stack(
        [
            _costs(*layer, labels, there, ids, counts, matching, generator)
            for layer, generator in zip(layers, generators, strict=True)
        ]
    )
    found = np.zeros((len(layers), len(classes)), np.int64)
    weights = np.ones(found.shape, np.float32)
    on_host = costs.cpu().numpy()
    for place in range(len(layers)):
        for image in range(len(labels)):
            own = np.flatnonzero((images == image).numpy())
            chosen, of = solve(on_host[place][own].T)
            found[place, own[of]] = chosen
            if len(own) > queries:  # a mask that is left over is compared with nothing
                weights[place, np.setdiff1d(own, own[of])] = 0
    assigned = torch.from_numpy(found).to(device, non_blocking=True)
    weighed = torch.from_numpy(weights).to(device, costs.dtype, non_blocking=True)
    return [Pairs(there, one, ids, weight) for one, weight in zip(assigned, weighed, strict=True)]


def _costs(
    masks: Tensor, classes: Tensor, labels: Tensor, images: Tensor, ids: Tensor, counts: list[int],
    matching: Matching, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Costs (M, Q) of assigning the masks of classes in images (M,) to the queries of their images."""
    # All masks of an image are compared at the same points.
    points = torch.rand(len(masks), matching.points, 2, device=masks.device, generator=generator)
    targets = targets_at(points[images], labels, images, ids, masks.dtype)
    sampled = F.grid_sample(masks, 2 * points[:, None] - 1, align_corners=False)[:, :, 0]
    likely = classes.softmax(-1)[images].gather(2, ids[:, None, None].expand(-1, classes.shape[1], 1))[..., 0]
    parts: list[Tensor] = []
    for found, inside in zip(sampled, targets.split(counts), strict=True):
        entropy = inside @ F.softplus(-found).T + (1 - inside) @ F.softplus(found).T
        shares = found.sigmoid()
        overlap = 2 * inside @ shares.T + 1
        dice = 1 - overlap / (inside.sum(1)[:, None] + shares.sum(1) + 1)
        parts.append(matching.mask_cost * entropy / matching.points + matching.dice_cost * dice)
    costs = torch.cat(parts) - matching.classification_cost * likely
    worst = torch.finfo(costs.dtype).max
    return costs.nan_to_num(nan=worst, posinf=worst, neginf=worst)


def targets_at(points: Tensor, labels: Tensor, images: Tensor, ids: Tensor, dtype: torch.dtype) -> Tensor:
    """The masks of classes at points: the bilinear interpolation of 1 inside and 0 outside, also of the image.

    Args:
        points: (M, P, 2), column and row as shares of the image, 0..1.
        labels: (B, H, W), any integer type.
        images: Number of the image of each mask, (M,).
        ids: Class id of each mask, (M,).
        dtype: Data type of the result.

    Returns:
        (M, P), 0..1.
    """
    height, width = labels.shape[-2:]
    rows, columns = (points[..., place].to(dtype) * side - 0.5 for place, side in ((1, height), (0, width)))
    top, left = rows.floor(), columns.floor()
    found = torch.zeros(points.shape[:2], device=points.device, dtype=dtype)
    flat = labels.flatten(1)
    for down in (0, 1):
        for across in (0, 1):
            row, column = (top + down).long(), (left + across).long()
            weight = (1 - (rows - row).abs()) * (1 - (columns - column).abs())
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            here = flat[images[:, None], place] == ids[:, None]
            found += weight * (here & inside)
    return found


@torch.no_grad()
def _points(masks: Tensor, pairs: Pairs, matching: Matching, generator: torch.Generator) -> Tensor:
    """Points (M, P, 2) to compare masks at: mostly where the assigned query is the least sure."""
    number, device = len(pairs.images), masks.device
    drawn = torch.rand(number, int(matching.points * matching.oversample), 2, device=device, generator=generator)
    uncertain = int(matching.importance * matching.points)
    sure = _at(masks[pairs.images, pairs.queries], drawn).abs()
    order = sure.topk(uncertain, dim=1, largest=False).indices
    chosen = drawn.gather(1, order[..., None].expand(-1, -1, 2))
    further = torch.rand(number, matching.points - uncertain, 2, device=device, generator=generator)
    return torch.cat([chosen, further], dim=1)


def _of_masks(
    masks: Tensor, labels: Tensor, pairs: Pairs, points: Tensor, matching: Matching, number: Tensor, ranks: Ranks
) -> Tensor:
    """Weighted binary cross entropy and Dice term of a layer, summed over masks and divided by their number."""
    found = _at(masks[pairs.images, pairs.queries], points)
    targets = targets_at(points, labels, pairs.images, pairs.classes, found.dtype)
    entropy = F.binary_cross_entropy_with_logits(found, targets, reduction="none").mean(1)
    shares = found.sigmoid()
    dice = 1 - (2 * (shares * targets).sum(1) + 1) / (shares.sum(1) + targets.sum(1) + 1)
    # Several processes expect a gradient of every parameter, also where there is no mask.
    summed = (pairs.weights * (matching.mask * entropy + matching.dice * dice)).sum() + 0 * masks.sum()
    return ranks.sum(summed) / number


def _of_classes(classes: Tensor, pairs: Pairs, no_object: float, ranks: Ranks) -> Tensor:
    """Cross entropy of all queries of a layer, the mean weighted by 1, and by `no_object` for those without a mask."""
    batch, queries, known = classes.shape[0], classes.shape[1], classes.shape[2] - 1
    # One place more takes in what has no weight.
    targets = torch.full((batch, queries + 1), known, device=classes.device, dtype=torch.int64)
    places = pairs.queries.where(pairs.weights > 0, queries)
    targets[pairs.images, places] = pairs.classes
    targets = targets[:, :queries].flatten()
    weights = torch.ones(known + 1, device=classes.device, dtype=classes.dtype)
    weights[known] = no_object
    summed = F.cross_entropy(classes.flatten(0, 1), targets, weight=weights, reduction="sum")
    normaliser = ranks.sum(weights[targets].sum())
    return ranks.sum(summed) / normaliser.where(normaliser > 0, 1.0)


def _at(masks: Tensor, points: Tensor) -> Tensor:
    """Bilinear interpolation of masks (M, h, w) at points (M, P, 2): (M, P)."""
    return F.grid_sample(masks[:, None], 2 * points[:, None] - 1, align_corners=False)[:, 0, 0]


def _generator(device: torch.device, seed: int, layer: int) -> torch.Generator:
    own = int(np.random.default_rng([seed, layer]).integers(2**63))
    return torch.Generator(device).manual_seed(own)


def assignment_solver() -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Scipy's solver of assignments: costs (rows, columns) to the chosen rows and their columns, as many as there can.

    Raises:
        RecipeError: R240, scipy is not installed.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise RecipeError(
            "R240",
            "loss.matching.assignment=hungarian needs the package scipy, which is not installed",
            "pip install scipy, or set loss.matching.assignment=fixed",
        ) from error
    return linear_sum_assignment
