"""Latency and memory of a network's forward pass on one image."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
import torch
from torch import Tensor

from pixelwise.machine.devices import choose_device
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.machine.threads import default_threads
from pixelwise.models import SegmentationModel, build_model
from pixelwise.profiling.complexity import Complexity, complexity
from pixelwise.profiling.options import ProfileOptions
from pixelwise.profiling.subjects import classes_of, recipe_of
from pixelwise.recipes.default_sizes import seen_size
from pixelwise.recipes.sizes import Size

WARMUP = 3
"""Untimed warm-up images: the first calls choose algorithms and allocate memory."""
RUNS = 20


class ForwardProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of a forward pass on one image.

    Attributes:
        classes: Number of classes of the network.
        complexity: Parameters and multiply-accumulates.
        runtime: Library that ran the network.
        device: Device that ran the network, such as `cpu` or `cuda:0`.
        threads: Number of CPU threads.
        runs: Number of timed images.
        median_ms: Median latency in milliseconds.
        p90_ms: 90th percentile of the latency in milliseconds.
        peak_memory_bytes: Peak GPU memory of the network; on a CPU the peak memory of the whole process.
    """

    classes: int
    complexity: Complexity
    runtime: str
    device: str
    threads: int
    runs: int
    median_ms: float
    p90_ms: float
    peak_memory_bytes: int


def measure_forward(model: str | os.PathLike[str], overrides: Sequence[str], options: ProfileOptions) -> ForwardProfile:
    """Profile a recipe's network, with random weights, on one image.

    Args:
        model: Name of a recipe, a `.toml` file or a run folder.
        overrides: Changes to the recipe.
        options: Size, device, threads, number of images and of classes.

    Raises:
        RecipeError: The recipe or the device does not exist.
    """
    recipe = recipe_of(model, overrides)
    device = choose_device(options.device)
    network = build_model(recipe, classes_of(recipe, options.num_classes))
    with own_threads():
        torch.set_num_threads(*(options.threads or (default_threads(),)))
        return profile_forward(network, options.size or seen_size(recipe), device, options.steps or RUNS)


@contextlib.contextmanager
def own_threads() -> Iterator[None]:
    """Restore the caller's number of threads after the block, which may change it."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def profile_forward(model: SegmentationModel, size: Size, device: torch.device, runs: int = RUNS) -> ForwardProfile:
    """Count a network's operations and time it on one random image, up to logits of the image's size.

    Args:
        model: The network; it is moved to the device and put into evaluation mode.
        size: (height, width) of the image.
        device: Device to measure on.
        runs: Number of timed images.
    """
    counted = complexity(model, *size)
    model = model.to(device).eval()
    images = torch.rand(1, len(model.preprocessing.mean), *size, device=device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with torch.inference_mode():
        seconds = time_calls(model, images, runs)
    return ForwardProfile(
        classes=model.num_classes,
        complexity=counted,
        runtime="pytorch",
        device=str(device),
        threads=torch.get_num_threads(),
        runs=runs,
        median_ms=1000 * statistics.median(seconds),
        p90_ms=1000 * ninetieth(seconds),
        peak_memory_bytes=peak_memory_bytes(device),
    )


def time_calls(predict: Callable[[Tensor], object], images: Tensor, runs: int) -> list[float]:
    """Seconds of each of `runs` calls, after `WARMUP` untimed ones.

    Args:
        predict: The function to time.
        images: Its argument; if it is on a GPU, each call is timed until the GPU has finished.
        runs: Number of timed calls, 1 or more.
    """
    taken = []
    for number in range(WARMUP + runs):
        start = time.perf_counter()
        predict(images)
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)
        if number >= WARMUP:
            taken.append(time.perf_counter() - start)
    return taken


def ninetieth(values: list[float]) -> float:
    """90th percentile: the smallest value that at least nine tenths of the values do not exceed."""
    ordered = sorted(values)
    return ordered[-(-9 * len(ordered) // 10) - 1]
