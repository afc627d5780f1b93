"""The length of a training in images, batches and steps, as its recipe says it."""

from __future__ import annotations

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.recipe import Sampling, Schedule


def total_steps(schedule: Schedule, steps_per_epoch: int) -> int:
    """Total number of optimizer steps of the run."""
    if schedule.iterations is not None:
        return schedule.iterations
    return (schedule.epochs or 0) * steps_per_epoch


def steps_per_epoch(num_samples: int, sampling: Sampling) -> int:
    """Number of optimizer steps in an epoch; batches that do not fill the last step are dropped.

    Raises:
        RecipeError: R211, the images do not fill one step.
    """
    count = batches_per_epoch(num_samples, sampling) // sampling.accumulate
    if count == 0:
        raise RecipeError(
            "R211",
            f"{num_samples} training images do not fill one step of sampling.batch_size={sampling.batch_size} "
            f"x sampling.accumulate={sampling.accumulate}" + (" with sampling.drop_last" if sampling.drop_last else ""),
            _filling(num_samples, sampling),
        )
    return count


def batches_per_epoch(num_samples: int, sampling: Sampling) -> int:
    """Number of batches in an epoch.

    An incomplete last batch is kept unless `drop_last` is set. A last batch of one image is dropped if the others are
    larger, because the statistics of batch normalisation over one image of a small map are undefined or noise.
    """
    full, rest = divmod(num_samples, sampling.batch_size)
    return full + int(_keeps_rest(rest, sampling))


def images_per_epoch(num_samples: int, sampling: Sampling) -> int:
    """Number of images that an epoch shows the network: without those of dropped batches; 0 if there is no step."""
    batches = batches_per_epoch(num_samples, sampling) // sampling.accumulate * sampling.accumulate
    return min(num_samples, batches * sampling.batch_size)


def _keeps_rest(rest: int, sampling: Sampling) -> bool:
    if rest == 0 or sampling.drop_last:
        return False
    return rest > 1 or sampling.batch_size == 1


def _filling(num_samples: int, sampling: Sampling) -> str:
    """The change with which the images fill a step."""
    if num_samples < sampling.accumulate:
        return "set sampling.batch_size=1 sampling.accumulate=1" if num_samples else "add training images"
    return f"lower sampling.batch_size to at most {num_samples // sampling.accumulate}"
