"""Time of each part of a training step, measured in the functions that `pixelwise train` runs."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import PixelwiseError
from pixelwise.machine.devices import choose_device
from pixelwise.machine.threads import default_threads
from pixelwise.models import build_model
from pixelwise.profiling.forward import own_threads
from pixelwise.profiling.options import ProfileOptions
from pixelwise.profiling.subjects import recipe_of
from pixelwise.recipes.lengths import steps_per_epoch
from pixelwise.recipes.schema.recipe import Precision, Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.environment import read_environment
from pixelwise.storage.stores.addresses import place_of
from pixelwise.training.autotuning.format_choice import choose_format
from pixelwise.training.batches import Batch, TrainingPairs, collate
from pixelwise.training.clock import PartClock
from pixelwise.training.decoded_cache import fits_in_memory, keep_in_memory
from pixelwise.training.memory import memory_explained
from pixelwise.training.optimization.optimizers import set_learning_rates
from pixelwise.training.order import BatchPlan
from pixelwise.training.precision import refuse_impossible, training_outputs
from pixelwise.training.runs import use_processor
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.training.step import train_step
from pixelwise.training.together.keys import Key
from pixelwise.transforms.augmentation import fixed_resize

LOADING = ("read", "decode", "augment", "collate")
NETWORK = ("forward", "backward")
UPDATE = ("gradient norm", "optimizer", "average")
PARTS = (
    *LOADING,
    "transfer",
    "forward",
    "teacher",
    "loss",
    "backward",
    "gradient norm",
    "optimizer",
    "average",
    "other",
)
"""Parts in the order of a step. `transfer` includes colour augmentation and normalisation, which run on the device."""
WARMUP = 2
"""Untimed warm-up steps."""
STEPS = 5


class Part(msgspec.Struct, frozen=True):
    """Time of one part of a step.

    Attributes:
        name: One of `PARTS`.
        milliseconds: Median over the timed steps.
        share: Share of the sum of all parts, 0..1.
    """

    name: str
    milliseconds: float
    share: float


class TrainingProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Time of a training step by parts.

    Attributes:
        recipe: Name of the recipe.
        device: Device that ran the training, such as `cpu` or `cuda:0`.
        threads: Number of CPU threads.
        precision: Number format and memory layout, such as `bfloat16, channels last`.
        images_per_step: Number of images per step, over all accumulated batches.
        height: Height of the network's input in pixels.
        width: Width of the network's input in pixels.
        steps: Number of timed steps.
        cached: Whether training decodes every image once, before the first step; the steps then read and decode
            nothing, and every image costs `decode_once_ms` once.
        decode_once_ms: Milliseconds for reading and decoding one image with its mask; 0 if nothing is cached.
        images_per_second: Throughput when loading and training alternate, as with `data.workers=0`.
        parts: The parts in the order of a step.
        bottleneck: The part that takes longest, and what to do about it.
    """

    recipe: str
    device: str
    threads: int
    precision: str
    images_per_step: int
    height: int
    width: int
    steps: int
    cached: bool
    decode_once_ms: float
    images_per_second: float
    parts: tuple[Part, ...]
    bottleneck: str


def measure_training(
    model: str | os.PathLike[str], overrides: Sequence[str], options: ProfileOptions
) -> TrainingProfile:
    """Profile the training of a recipe on the given data, or else on the data of the run.

    Args:
        model: Name of a recipe, a `.toml` file or a run folder.
        overrides: Changes to the recipe.
        options: Data, crop size, device, threads and number of steps.

    Raises:
        PixelwiseError: As `profile_training`; the recipe or the device does not exist.
    """
    crop = [] if options.size is None else [f"augment.crop=[{options.size[0]},{options.size[1]}]"]
    recipe = recipe_of(model, [*overrides, *crop])
    device = choose_device(options.device)
    data = place_of(options.data) if options.data is not None else read_environment(Path(model)).data_folder
    with own_threads():
        use_processor(device, *(options.threads or (default_threads(),)))
        return profile_training(recipe, data, device, options.steps or STEPS)


def profile_training(recipe: Recipe, root: Path | None, device: torch.device, steps: int = STEPS) -> TrainingProfile:
    """Train a new network for a few steps and time the parts of each step.

    Everything runs sequentially in this process. Nothing is written to disk.

    Args:
        recipe: Recipe to train.
        root: Folder of the data set; None for synthetic data.
        device: Device to train on.
        steps: Number of timed steps.

    Raises:
        DataError: The data cannot be opened, or a file cannot be read.
        RecipeError: The recipe cannot be trained on the data or the device.
        ResourceError: S605, a step does not fit into memory.
    """
    refuse_impossible(recipe.precision, device)
    dataset = open_dataset(recipe.data, root)
    recipe = msgspec.structs.replace(recipe, data=settled(recipe.data, dataset))
    dataset = open_dataset(recipe.data, root)
    samples = dataset.samples(recipe.data.train_split)
    largest = _largest_of_a_few(samples, dataset) if recipe.augment.resize is None else recipe.augment.resize
    if recipe.precision.dtype == "auto":
        recipe = choose_format(recipe, largest, device).recipe
    images = recipe.sampling.batch_size * recipe.sampling.accumulate
    cached = recipe.data.cache == "disk" or fits_in_memory(samples, recipe, largest)
    # No more images than the steps need, spread evenly over the split.
    needed = max(images, min(len(samples), (WARMUP + steps) * images))
    pairs = TrainingPairs(dataset, samples[:: max(1, len(samples) // needed)][:needed], recipe)
    decoding = _fill(pairs)
    state = begin_state(build_model(recipe), recipe, device)
    timed, size = _timed_steps(recipe, state, pairs, steps, cached)
    parts = shares(timed)
    return TrainingProfile(
        recipe=recipe.name,
        device=str(device),
        threads=torch.get_num_threads(),
        precision=_words(recipe.precision),
        images_per_step=images,
        height=size[0],
        width=size[1],
        steps=steps,
        cached=cached,
        decode_once_ms=1000 * decoding / len(pairs) if cached else 0.0,
        images_per_second=1000 * images / sum(part.milliseconds for part in parts),
        parts=parts,
        bottleneck=bottleneck(parts, recipe, device, cached),
    )


def _words(precision: Precision) -> str:
    """`bfloat16, channels last, compiled`."""
    parts = (("channels last", precision.channels_last), ("compiled", precision.compile))
    return ", ".join([precision.dtype, *(words for words, holds in parts if holds)])


def _timed_steps(
    recipe: Recipe, state: TrainingState, pairs: TrainingPairs, steps: int, cached: bool
) -> tuple[list[dict[str, float]], Size]:
    """Seconds of the parts of each step, and the (height, width) of the network's input."""
    per_epoch = steps_per_epoch(len(pairs), recipe.sampling)
    keys = iter(BatchPlan(len(pairs), recipe.sampling, 0, WARMUP + steps))
    timed: list[dict[str, float]] = []
    size = (0, 0)
    network = training_outputs(state.model, recipe.precision)
    for number in range(WARMUP + steps):
        clock = PartClock(state.device)
        batches = [load(pairs, next(keys), clock, cached) for _ in range(recipe.sampling.accumulate)]
        set_learning_rates(state.optimizer, recipe, number, per_epoch)
        step(recipe, state, network, batches, clock)
        size = (batches[0].labels.shape[1], batches[0].labels.shape[2])
        if number >= WARMUP:
            timed.append(dict(clock.seconds))
    return timed, size


def _largest_of_a_few(samples: Sequence[Sample], dataset: Dataset) -> Size:
    """(height, width) of the largest of at most five images, to decide whether the decoded split fits into memory."""
    shapes = [read_pair(sample, dataset)[1].shape for sample in samples[:: -(-len(samples) // 5)]]
    height, width = max(shapes, key=lambda shape: shape[0] * shape[1])
    return height, width


def _fill(pairs: TrainingPairs) -> float:
    """Decode all pairs into memory; returns the seconds that it took."""
    start = time.perf_counter()
    keep_in_memory(pairs)
    return time.perf_counter() - start


def load(pairs: TrainingPairs, keys: Sequence[Key], clock: PartClock, cached: bool) -> Batch:
    """Load a batch as the data loader does and time each part.

    Args:
        pairs: Pairs that are already decoded, so that decoding and augmentation can be timed separately.
        keys: Keys of the images in the batch.
        clock: Accumulates the seconds of each part.
        cached: Whether training uses cached decoded images; if not, the files are read and decoded here once more.
    """
    if not cached:
        for _, index in keys:
            with clock("read"):
                _read_files(pairs.samples[index])
            # The files are in the system's page cache by now, so this times decoding alone.
            with clock("decode"):
                fixed_resize(*read_pair(pairs.samples[index], pairs.dataset), pairs.augment)
    with clock("augment"):
        items = pairs.__getitems__(keys)
    with clock("collate"):
        batch = collate(items, needs_classes=pairs.needs_classes)
    if isinstance(batch, PixelwiseError):
        raise batch
    return batch


def step(
    recipe: Recipe,
    state: TrainingState,
    network: Callable[[Tensor], tuple[Tensor, ...]],
    batches: list[Batch],
    clock: PartClock,
) -> None:
    """Run a training step and time its parts; the remaining time of the step is `other`."""
    start, before = time.perf_counter(), sum(clock.seconds.values())
    with memory_explained(recipe, state.device):
        train_step(recipe, state, network, batches, None, clock)
    state.progress.step += 1
    inside = sum(clock.seconds.values()) - before
    clock.seconds["other"] += max(0.0, time.perf_counter() - start - inside)


def shares(timed: Sequence[dict[str, float]]) -> tuple[Part, ...]:
    """Median milliseconds of each part and its share of the sum; parts that took no time are left out."""
    medians = {name: 1000 * statistics.median(one.get(name, 0.0) for one in timed) for name in PARTS}
    total = sum(medians.values()) or 1.0
    return tuple(Part(name, value, value / total) for name, value in medians.items() if value > 0)


def bottleneck(parts: Sequence[Part], recipe: Recipe, device: torch.device, cached: bool) -> str:
    """Sentence that names the group of parts that takes longest, and what to do about it.

    Args:
        parts: Parts of a step, as returned by `shares`.
        recipe: The recipe that was profiled.
        device: The device that was measured.
        cached: Whether images are decoded before the first step.
    """
    share = {part.name: part.share for part in parts}
    groups = {
        "file reading": share.get("read", 0.0),
        "decoding": share.get("decode", 0.0),
        "augmentation": share.get("augment", 0.0) + share.get("collate", 0.0),
        "transfer and normalisation": share.get("transfer", 0.0),
        "the network (forward and backward)": sum(share.get(name, 0.0) for name in NETWORK),
        "the teacher": share.get("teacher", 0.0),
        "the loss": share.get("loss", 0.0),
        "the weight update": sum(share.get(name, 0.0) for name in UPDATE),
        "overhead between the parts": share.get("other", 0.0),
    }
    most = max(groups, key=lambda name: groups[name])
    return f"{most} takes {100 * groups[most]:.0f} % of each step: {_advice(most, recipe, device, cached)}"


def _advice(most: str, recipe: Recipe, device: torch.device, cached: bool) -> str:
    if most in ("file reading", "decoding"):
        return "data.cache=memory does it only once, data.workers=2 or more does it in parallel with training"
    if most == "augmentation":
        return "data.workers=2 or more does it in parallel with training" + (
            "" if cached or recipe.augment.resize else "; a fixed augment.resize makes the images smaller beforehand"
        )
    if most == "transfer and normalisation":
        return (
            "data.workers=1 or more puts batches into pinned memory, which transfers faster"
            if device.type == "cuda"
            else ("it grows with the number of pixels: use a smaller augment.crop")
        )
    if most == "the network (forward and backward)":
        if recipe.precision.dtype == "bfloat16":
            return "data loading is not the limit; try precision.compile=true, or a smaller network or crop"
        return (
            "data loading is not the limit; precision.dtype=auto chooses the fastest number format, a smaller network "
            "or crop saves most"
        )
    if most == "the teacher":
        return "a smaller teacher takes less time, and so does a single one that sees no mirror images"
    if most == "the loss":
        return "it runs at the size of the labels: use a smaller augment.crop or fewer terms in [loss]"
    if most == "the weight update":
        return "it grows with the number of parameters, not of images: a larger sampling.batch_size needs fewer updates"
    return "steps are very short here: a larger sampling.batch_size makes fewer of them" + (
        "; precision.compile=true precision.cuda_graphs=true launches their kernels all at once"
        if device.type == "cuda"
        else ""
    )


def _read_files(sample: Sample) -> None:
    for path in (sample.image_path, sample.mask_path):
        if path is not None:
            path.read_bytes()
