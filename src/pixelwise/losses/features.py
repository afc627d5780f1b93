"""The teacher's part of the loss where feature maps are compared: the L2 distance after a learned linear map.

FitNets (Romero et al., ICLR 2015, arXiv:1412.6550, equation 3) compares the teacher's features as they are, so that
the loss has the scale of the teacher: a fifth of the variance is a fifth of the weight. RADIO (Ranzinger et al.,
CVPR 2024, arXiv:2312.06709; PHI-S, arXiv:2410.01680) normalises each teacher by statistics of a data set. Here every
pixel is normalised over its channels, as data2vec does (Baevski et al., ICML 2022, arXiv:2202.03555): that has the same
effect on the scale, needs no pass over the data, and leaves no statistics that a resumed run would have to restore.
What it loses is the length of a pixel's features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.ranks import ALONE, Ranks

EPS = 1e-6
"""Added to the variance over the channels of a pixel."""


def normalised_features(features: Tensor, channels: Sequence[int]) -> Tensor:
    """What teachers teach: the features of every pixel with mean 0 and variance 1 over the channels of each teacher.

    Args:
        features: (B, C, h, w), those of all teachers, one after the other.
        channels: Number of channels of each teacher; their sum is C.

    Returns:
        (B, C, h, w), at least float32. A pixel whose channels are all equal becomes 0.
    """
    parts = at_least_float32(features).split(list(channels), 1)
    centred = [part - part.mean(1, keepdim=True) for part in parts]
    return torch.cat([part * (part.square().mean(1, keepdim=True) + EPS).rsqrt() for part in centred], 1)


def feature_loss(mapped: Tensor, taught: Tensor, channels: Sequence[int], ranks: Ranks = ALONE) -> Tensor:
    """The mean over the teachers of the mean squared difference over images, pixels and channels.

    Args:
        mapped: (B, C, h, w), the network's features after the linear map, any floating point.
        taught: (B, C, h, w), the `normalised_features` of the teachers, without gradient.
        channels: Number of channels of each teacher.
        ranks: The processes that have the other images of the batch, see `segmentation_loss`.

    Returns:
        Scalar, at least float32, 0 or more; about 1 for a map that says 0 everywhere.
    """
    value = mapped.new_zeros((), dtype=taught.dtype)
    differences = (at_least_float32(mapped) - taught).split(list(channels), 1)
    for difference in differences:
        value = value + ranks.sum(difference.square().sum()) / ranks.count(difference.numel())
    return value / len(differences)
