"""Stochastic depth: in training, images skip parts of residual blocks (Huang et al. 2016, arXiv:1603.09382)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def drop_path(branch: Tensor, probability: float, training: bool) -> Tensor:
    """A residual branch, dropped for some images in training.

    Args:
        branch: (B, ...) float, to be added to the input of the block.
        probability: Probability that an image skips the branch, 0..1 (less than 1); the branches that are kept are
            divided by the rest, so that their expected sum is unchanged.
        training: Whether the network is in training mode; otherwise every image keeps the branch.

    Returns:
        A tensor like `branch`; `branch` itself if nothing can be dropped.
    """
    if not training or probability == 0:
        return branch
    return branch * F.dropout(branch.new_ones(branch.shape[0], *(1,) * (branch.ndim - 1)), probability)


def probabilities(depths: tuple[int, ...], last: float) -> list[list[float]]:
    """Probabilities of skipping that grow linearly over all blocks, from 0 at the first one.

    Args:
        depths: Number of blocks in each stage.
        last: Probability of the last block.

    Returns:
        One list per stage, with one probability per block.
    """
    steps = max(sum(depths) - 1, 1)
    before = [sum(depths[:stage]) for stage in range(len(depths))]
    return [[last * (first + i) / steps for i in range(depth)] for first, depth in zip(before, depths, strict=True)]
