"""The Poisson bootstrap: resampled sums over very many images, some images at a time.

Drawing N images with replacement gives each image a weight, nearly Poisson-distributed with mean 1 and nearly
independent of the others if N is large. With weights that are exactly so, no image has to wait for the others (Hanley,
MacGibbon 2006, "Creating non-parametric bootstrap samples using Poisson frequencies"; Chamandy et al. 2012, "Estimating
uncertainty for massive data streams").
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np

_TOGETHER = 1024
"""Images whose weights are drawn together; with 1,000 resamples, they take 14 MB."""
_LARGEST = 12
"""Poisson weights above this one have a probability below 2^-32, the resolution of the random numbers."""
_WORDS = 4
"""64-bit words that the random generator makes in each of its steps."""


class PoissonSums:
    """Sums over images, each with a weight of its own in every resample.

    The weights of an image depend on the seed and on the position of the image alone, so parts of the images may be
    added in any order, on their own, and merged.

    Args:
        columns: Number of values of each image.
        resamples: Number of resamples.
        seed: Seed of the weights.

    Attributes:
        sums: float64 (resamples, columns), exact for integers while they are below 2^53.
    """

    def __init__(self, columns: int, resamples: int, seed: int = 0) -> None:
        self.sums = np.zeros((resamples, columns))
        self._seed = seed

    def add(self, values: np.ndarray, position: int = 0) -> None:
        """Add images.

        Args:
            values: Integers (N, columns).
            position: Position of the first of them among all images.
        """
        resamples = len(self.sums)
        for start in range(0, len(values), _TOGETHER):
            some = values[start : start + _TOGETHER].astype(np.float64)
            weights = poisson_weights(len(some), resamples, position=position + start, seed=self._seed)
            self.sums += weights.T.astype(np.float64) @ some

    def merge(self, other: Self) -> None:
        """Add the images of another part, which has the same seed and size."""
        self.sums += other.sums


def poisson_weights(images: int, resamples: int, *, position: int = 0, seed: int = 0) -> np.ndarray:
    """uint8 (images, resamples), independent draws from the Poisson distribution with mean 1.

    Args:
        images: Number of images.
        resamples: Number of resamples.
        position: Position of the first image among all images.
        seed: Seed of the weights.
    """
    # A generator that counts: the numbers of any image can be made without those of the images before.
    steps = -(-resamples // (2 * _WORDS))
    generator = np.random.Philox(np.random.SeedSequence(seed)).advance(position * steps)
    words = generator.random_raw(images * steps * _WORDS).astype("<u8").view("<u4")
    draws = words.reshape(images, -1)[:, :resamples]
    weights = _TABLE[draws >> 16]
    # Of 65,536 upper halves, those few in which a limit lies leave the weight open.
    unclear = weights == _UNCLEAR
    weights[unclear] = np.searchsorted(_LIMITS, draws[unclear], side="right")
    return weights


def _limits() -> np.ndarray:
    """The 32-bit numbers from which the weight is 1, 2, ...: the distribution function, scaled."""
    chances = [math.exp(-1) / math.factorial(weight) for weight in range(_LARGEST + 1)]
    return np.array([min(round(math.fsum(chances[: n + 1]) * 2**32), 2**32 - 1) for n in range(_LARGEST)], np.uint32)


def _table(limits: np.ndarray) -> np.ndarray:
    """The weight of every upper half of a 32-bit number, or `_UNCLEAR`."""
    first = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
    lowest, highest = (np.searchsorted(limits, ends, side="right") for ends in (first, first | np.uint32(0xFFFF)))
    return np.where(lowest == highest, lowest, _UNCLEAR).astype(np.uint8)


_UNCLEAR = 255
_LIMITS = _limits()
_TABLE = _table(_LIMITS)
