"""Order of the training images, a pure function of (seed, epoch, position).

A resumed run replays nothing, and the order does not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pixelwise.recipes.lengths import batches_per_epoch, steps_per_epoch
from pixelwise.recipes.schema.recipe import Sampling
from pixelwise.training.sampling.bijections import MOST_PERMUTED, Shuffle, ShuffledBatches
from pixelwise.training.together.division import ALL, Division
from pixelwise.training.together.keys import Keys

# Separate random streams from one seed; the values only have to differ.
ORDER_STREAM = 0
AUGMENTATION_STREAM = 1


def epoch_batches(num_samples: int, sampling: Sampling, epoch: int) -> Sequence[np.ndarray]:
    """The sample indices of every batch of an epoch, in order.

    Of more than 2^24 samples, the indices of a batch are computed when it is asked for, whatever comes before it.

    An incomplete last batch is kept unless `drop_last` is set. A last batch of one image is dropped if the others are
    larger, because the statistics of batch normalisation over one image of a small map are undefined or noise.
    """
    count = batches_per_epoch(num_samples, sampling)
    if num_samples > MOST_PERMUTED:
        shuffle = Shuffle(num_samples, (sampling.seed, ORDER_STREAM, epoch))
        return ShuffledBatches(shuffle, sampling.batch_size, range(count))
    random = np.random.default_rng([sampling.seed, ORDER_STREAM, epoch])
    order = random.permutation(num_samples)
    return [order[i * sampling.batch_size : (i + 1) * sampling.batch_size] for i in range(count)]


def augmentation_random(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Random generator that decides how sample `index` is augmented in `epoch`."""
    return np.random.default_rng([seed, AUGMENTATION_STREAM, epoch, index])


class BatchPlan:
    """The batches of a run from some step on, as lists of keys; iteration starts at the current position.

    Args:
        num_samples: Number of samples in the training split.
        sampling: Batch size, accumulation and seed, which decide the order.
        start_step: First optimizer step of the plan.
        steps: Total number of optimizer steps.
        division: This process's part of every step: only its batches, or its part of them, are in the plan.
    """

    def __init__(
        self, num_samples: int, sampling: Sampling, start_step: int, steps: int, division: Division = ALL
    ) -> None:
        self.num_samples = num_samples
        self.sampling = sampling
        self.per_epoch = steps_per_epoch(num_samples, sampling) * sampling.accumulate
        self.division = division
        self.position = start_step * sampling.accumulate
        self.end = steps * sampling.accumulate
        self._skip_others()

    @property
    def remaining(self) -> int:
        """Number of batches still to come."""
        return len(range(self.position, self.end))

    def advance(self) -> None:
        """Move past the next batch, which was delivered."""
        self.position += 1
        self._skip_others()

    def _skip_others(self) -> None:
        while self.position < self.end and not self._is_own(self.position):
            self.position += 1

    def _is_own(self, position: int) -> bool:
        return self.division.takes(position % self.sampling.accumulate, self.sampling.accumulate)

    def __iter__(self) -> Iterator[Keys]:
        first_epoch = self.position // self.per_epoch
        last_epoch = (self.end - 1) // self.per_epoch
        for epoch in range(first_epoch, last_epoch + 1):
            batches = epoch_batches(self.num_samples, self.sampling, epoch)
            begin = epoch * self.per_epoch
            for position in range(max(begin, self.position), min(begin + self.per_epoch, self.end)):
                if self._is_own(position):
                    yield self.division.part([(epoch, int(index)) for index in batches[position - begin]])
