"""Which image is seen when: a pure function of (seed, epoch, position).

Nothing is replayed on resume and nothing depends on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.recipe import Sampling

Key = tuple[int, int]
"""(epoch, sample index)"""

# Separate random streams from one seed; the numbers only have to differ.
ORDER_STREAM = 0
AUGMENTATION_STREAM = 1


def batches_per_epoch(num_samples: int, sampling: Sampling) -> int:
    """Number of batches in an epoch; see `epoch_batches`."""
    full, rest = divmod(num_samples, sampling.batch_size)
    return full + int(_keeps_rest(rest, sampling))


def epoch_batches(num_samples: int, sampling: Sampling, epoch: int) -> list[np.ndarray]:
    """The sample indices of every batch of an epoch, in order.

    An incomplete last batch is kept unless `drop_last`; a last batch of one image is dropped when
    others are larger, because batch normalisation over one image of a small map is undefined or noise.
    """
    random = np.random.default_rng([sampling.seed, ORDER_STREAM, epoch])
    order = random.permutation(num_samples)
    count = batches_per_epoch(num_samples, sampling)
    return [order[i * sampling.batch_size : (i + 1) * sampling.batch_size] for i in range(count)]


def augmentation_random(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator that decides how sample `index` is augmented in `epoch`."""
    return np.random.default_rng([seed, AUGMENTATION_STREAM, epoch, index])


def steps_per_epoch(num_samples: int, sampling: Sampling) -> int:
    """Optimizer steps in an epoch; batches that do not fill the last step are left out.

    Raises:
        RecipeError: R211, there is no complete step.
    """
    count = batches_per_epoch(num_samples, sampling) // sampling.accumulate
    if count == 0:
        raise RecipeError(
            "R211",
            f"{num_samples} training images give no complete step of sampling.batch_size={sampling.batch_size} "
            f"x sampling.accumulate={sampling.accumulate}" + (" with sampling.drop_last" if sampling.drop_last else ""),
            f"lower sampling.batch_size to at most {max(1, num_samples // sampling.accumulate)}",
        )
    return count


class BatchPlan:
    """The batches of a run from some step on, as lists of keys; iterating starts where it stands.

    Args:
        num_samples: Size of the training split.
        sampling: Decides the order.
        start_step: First optimizer step.
        steps: Total number of optimizer steps.
    """

    def __init__(self, num_samples: int, sampling: Sampling, start_step: int, steps: int) -> None:
        self.num_samples = num_samples
        self.sampling = sampling
        self.per_epoch = steps_per_epoch(num_samples, sampling) * sampling.accumulate
        self.position = start_step * sampling.accumulate
        self.end = steps * sampling.accumulate

    @property
    def remaining(self) -> int:
        """Batches that are still to come."""
        return self.end - self.position

    def advance(self) -> None:
        """Note that the next batch was delivered."""
        self.position += 1

    def __iter__(self) -> Iterator[list[Key]]:
        first_epoch = self.position // self.per_epoch
        last_epoch = (self.end - 1) // self.per_epoch
        skip, left = self.position % self.per_epoch, self.remaining
        for epoch in range(first_epoch, last_epoch + 1):
            batches = epoch_batches(self.num_samples, self.sampling, epoch)[skip : self.per_epoch]
            for indices in batches[:left]:
                yield [(epoch, int(index)) for index in indices]
            left -= len(batches)
            skip = 0


def _keeps_rest(rest: int, sampling: Sampling) -> bool:
    if rest == 0 or sampling.drop_last:
        return False
    return rest > 1 or sampling.batch_size == 1
