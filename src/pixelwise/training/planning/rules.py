"""The rules of planning: each takes facts about data, machine and time, and returns a value with its reason.

They follow nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z) in deriving crop, batch and length from a
fingerprint of the data. Unlike it, the length also follows the clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from pixelwise.recipes.sizes import Size
from pixelwise.storage.names import counted

STRIDE = 32
"""Sides of a crop are multiples of the stride of the encoders' deepest features."""
MOST_PIXELS = {"cpu": 256 * 320, "cuda": 512 * 512}
"""Largest area of a crop, by type of device: larger ones take the time of several steps."""
MOST_CROPS = 8
"""Largest area of an image, in crops of the largest area: larger ones are shrunk, as all photos of cameras are."""
LARGEST_BATCH = {"cpu": 4, "cuda": 8}
"""Largest batch, by type of device: a processor takes as long for two small steps as for a large one."""
FEWEST_STEPS = 4
"""Steps per epoch that a batch leaves, if there are enough images."""
MOST_UNEQUAL = 4.0
"""Largest ratio of the pixels of two classes at which all weigh the same."""
USUAL_STEPS = 2000
"""Steps of a training that nothing else limits."""
FEWEST_EPOCHS, MOST_EPOCHS = 30, 300
AVERAGED = 0.05
"""Share of the steps over which the weights are averaged."""
EVALUATIONS = 10
"""Number of evaluations during a training."""
LARGEST_EVALUATED = 0.2
"""Largest share of the time that evaluations may take."""


class Choice(msgspec.Struct, frozen=True):
    """A value that was chosen for a planned field.

    Attributes:
        field: Path of the field, or of the section.
        value: The value as in a recipe file.
        reason: Why, as the end of a sentence that begins with field and value.
    """

    field: str
    value: Any
    reason: str


def shrinking(usual: Size, device: str) -> tuple[Choice, ...]:
    """The size at which the network sees large images, in training and whenever it predicts; empty for others.

    A crop of a photo of 12 million pixels would be a hundredth of it, without anything that says where it is, and an
    evaluation would take minutes per image.

    Args:
        usual: (height, width) of the usual image.
        device: Type of the device, such as `cpu`.
    """
    most = MOST_CROPS * _most_pixels(device)
    if usual[0] * usual[1] <= most:
        return ()
    shorter, longer = sorted(_within(usual, most))
    sizes = f"images are usually {usual[1]}x{usual[0]}; at most {most:,} pixels suit {_named(device)}"
    also = "as augment.fit; masks are scored and written at the images' own sizes"
    return (
        Choice("augment.fit", [shorter, longer], sizes),
        Choice("augment.resampling", "area", "shrunk images are averages of the pixels, without artefacts"),
        Choice("evaluation.protocols", [f"within-{longer}x{shorter}"], also),
    )


def crop(usual: Size, device: str, *, shrunk: bool = False) -> Choice:
    """The crop: as large as the usual image, or else the largest area with its proportions.

    Args:
        usual: (height, width) of the usual image, as the network sees it.
        device: Type of the device, such as `cpu`.
        shrunk: Whether that is not its own size.
    """
    most = _most_pixels(device)
    height, width = _within(usual, most)
    images = f"images {'are then' if shrunk else 'are usually'} {usual[1]}x{usual[0]}"
    if usual[0] * usual[1] <= most:
        return Choice("augment.crop", [height, width], f"{images}, rounded to multiples of {STRIDE}")
    limit = f"crops of at most {most:,} pixels suit {_named(device)}"
    return Choice("augment.crop", [height, width], f"{images}; {limit}")


def batch(images: int, device: str, what: str = "training image") -> Choice:
    """The batch: a power of two that leaves at least four steps per epoch, from 2 to 4 or 8.

    Args:
        images: Number of training images.
        device: Type of the device, such as `cpu`.
        what: What they are called in the reason.
    """
    largest = LARGEST_BATCH.get(device, LARGEST_BATCH["cuda"])
    fitting = max(2, min(largest, images // FEWEST_STEPS)) if images > 1 else 1
    size = 2 ** int(math.log2(fitting))
    return Choice("sampling.batch_size", size, counted(images, what))


def weights(pixels: Sequence[int], classes: Sequence[str]) -> Choice:
    """The weights of the classes in the loss: equal unless one has several times the pixels of another.

    Args:
        pixels: Labelled pixels of each class.
        classes: Names of the classes.
    """
    present = {name: count for name, count in zip(classes, pixels, strict=True) if count}
    if len(present) < 2:
        return Choice("loss.class_weights", "none", "at most one class is labelled")
    rarest, commonest = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
    ratio = present[commonest] / present[rarest]
    times = f"{commonest} has {ratio:,.0f} times the pixels of {rarest}"
    if ratio <= MOST_UNEQUAL:
        return Choice("loss.class_weights", "none", f"the classes are of similar size ({times})")
    return Choice("loss.class_weights", "inverse-sqrt", times)


def epochs(steps_per_epoch: int) -> Choice:
    """The length of a training without a time limit: about 2,000 steps, in 30 to 300 epochs.

    Args:
        steps_per_epoch: Optimizer steps per epoch.
    """
    number = min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(USUAL_STEPS / steps_per_epoch)))
    reason = f"{number * steps_per_epoch:,} steps at {counted(steps_per_epoch, 'step')} per epoch"
    return Choice("schedule.epochs", number, reason)


def iterations(seconds: float, step: float, evaluation: float) -> Choice:
    """The length of a training that has to end in time.

    Args:
        seconds: Seconds that are left for training and evaluating.
        step: Seconds per optimizer step.
        evaluation: Seconds per evaluation.
    """
    evaluations = min(EVALUATIONS * evaluation, LARGEST_EVALUATED * max(0.0, seconds))
    number = max(1, int((seconds - evaluations) / step))
    reason = f"a step takes {_seconds(step)}, an evaluation {_seconds(evaluation)}; {_minutes(seconds)} are left"
    return Choice("schedule.iterations", number, reason)


def evaluated_every(steps: int, steps_per_epoch: int, most: float = EVALUATIONS) -> Choice:
    """Epochs between two evaluations, for at least ten of them where there are ten epochs and the time.

    Args:
        steps: Number of steps of the training.
        steps_per_epoch: Optimizer steps per epoch.
        most: Number of evaluations that fit into the time.
    """
    epochs = max(1, math.ceil(steps / steps_per_epoch))
    every = max(1, int(epochs / max(1.0, min(most, epochs))))
    number = math.ceil(epochs / every)
    return Choice("selection.every_epochs", every, counted(number, "evaluation"))


def decay(steps: int) -> Choice:
    """The decay of the moving average, whose weights are in the mean a twentieth of the training old.

    Args:
        steps: Number of steps of the training.
    """
    averaged = max(min(2.0, steps), AVERAGED * steps)
    value = round(1 - 1 / max(2.0, averaged), 5)
    return Choice("ema.decay", value, f"averages about {averaged:,.0f} of {counted(steps, 'step')}")


def _most_pixels(device: str) -> int:
    return MOST_PIXELS.get(device, MOST_PIXELS["cuda"])


def _within(size: Size, most: int) -> Size:
    """The largest size of these proportions and at most so many pixels, in multiples of the stride."""
    scale = min(1.0, math.sqrt(most / (size[0] * size[1])))
    height, width = (max(STRIDE, int(side * scale) // STRIDE * STRIDE) for side in size)
    return height, width


def _named(device: str) -> str:
    return "a processor" if device == "cpu" else "a GPU"


def _seconds(value: float) -> str:
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{max(0.0, seconds):.0f} s"
