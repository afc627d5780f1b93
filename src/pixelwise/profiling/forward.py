"""How long a network takes for an image, and how much memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import msgspec
import torch
from torch import Tensor

from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.models import SegmentationModel
from pixelwise.profiling.complexity import Complexity, complexity
from pixelwise.recipes.protocols import Size

WARMUP = 3
"""Images before the timed ones: the first calls choose algorithms and allocate."""


class ForwardProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What one image costs.

    Attributes:
        classes: Outputs.
        complexity: Parameters and multiply-accumulates.
        runtime: What computed.
        device: Where.
        threads: Of the CPU.
        runs: Timed images.
        median_ms: Of their times.
        p90_ms: Nine of ten were at least as fast.
        peak_memory_bytes: On a GPU what the network needed; on a CPU the most that the whole process ever used.
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


def profile_forward(model: SegmentationModel, size: Size, device: torch.device, runs: int = 20) -> ForwardProfile:
    """Count a network's operations and time it on one random image, logits at the image's size included.

    Args:
        model: Is moved to `device` and into evaluation mode.
        size: Of the image.
        device: Where.
        runs: Timed images.
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
    """Seconds of each of `runs` calls, after `WARMUP` that do not count.

    Args:
        predict: Any runtime's network.
        images: Its input; on a GPU the end of the work there is waited for.
        runs: At least 1.
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
    """The smallest value that nine of ten do not exceed."""
    ordered = sorted(values)
    return ordered[-(-9 * len(ordered) // 10) - 1]
