"""Latency of a forward pass in several runtimes, measured so that they can be compared.

Every candidate (a network or an artefact, a runtime, a number of threads) runs in a process of its own, so that its
peak memory can be told apart and thread pools do not disturb each other. The candidates take turns, one pass each per
round, so that other load on the machine affects all of them alike.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError, ResourceError
from pixelwise.machine.memory import peak_memory
from pixelwise.machine.openmp import SHORT_WAITS
from pixelwise.machine.processes import environment, without_main
from pixelwise.observer import SILENT, Observer
from pixelwise.profiling.runtimes import EAGER
from pixelwise.recipes.sizes import Size
from pixelwise.training.memory import is_out_of_memory

ROUNDS = 30
WARM_UP = 3


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A network in one runtime with one number of threads, to be measured.

    Attributes:
        source: A run folder or the name of a recipe (random weights) for PyTorch; an artefact for other runtimes.
        runtime: A key of `EAGER`, or the name of an export target.
        threads: Number of CPU threads for one pass.
        num_classes: Number of classes, for a recipe that leaves it to the data.
        trust: Whether whoever made the artefact may run code here.
        head: Whether PyTorch returns logits at the network's own stride instead of the image's size.
    """

    source: str
    runtime: str
    threads: int
    num_classes: int | None = None
    trust: bool = False
    head: bool = False


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Measured latency and memory of a candidate.

    Attributes:
        runtime: A key of `EAGER`, or the name of an export target.
        threads: Number of CPU threads for one pass.
        batch: Number of images per pass.
        size: (height, width) of the images.
        rounds: Number of timed passes, after the warm-up.
        median_seconds: Median latency of a pass.
        p99_seconds: 99th percentile of the latency; with fewer than 100 passes close to the maximum.
        images_per_second: `batch / median_seconds`.
        peak_memory_bytes: Peak memory of the process, including libraries and weights.
        loaded_memory_bytes: Peak memory of the process before the first pass.
    """

    runtime: str
    threads: int
    batch: int
    size: Size
    rounds: int
    median_seconds: float
    p99_seconds: float
    images_per_second: float
    peak_memory_bytes: int
    loaded_memory_bytes: int


def measure_latency(
    candidates: Sequence[Candidate],
    size: Size,
    *,
    batch: int = 1,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    observer: Observer = SILENT,
) -> list[Latency]:
    """Measure the latency of candidates, which take turns.

    Args:
        candidates: Candidates to compare.
        size: (height, width) of the images.
        batch: Number of images per pass.
        rounds: Number of timed passes per candidate.
        warm_up: Number of untimed passes per candidate before them.
        observer: Receives the number of finished rounds.

    Returns:
        One result per candidate, in the same order.

    Raises:
        ResourceError: S607, a candidate does not fit into memory.
        CheckpointError: K463, a candidate fails in its runtime.
        PixelwiseError: A candidate cannot be loaded.
        ValueError: `rounds`, `batch` or a number of threads is below 1.
    """
    if min(rounds, batch, *(candidate.threads for candidate in candidates)) < 1:
        threads = [candidate.threads for candidate in candidates]
        raise ValueError(f"rounds is {rounds}, batch {batch}, threads {threads}; expected 1 or more of each")
    with contextlib.ExitStack() as stack:
        workers = [
            _Worker(candidate.runtime, stack.enter_context(_process(candidate, size, batch)))
            for candidate in candidates
        ]
        loaded = [worker.answer() for worker in workers]
        seconds: list[list[float]] = [[] for _ in candidates]
        for done in range(-warm_up, rounds):
            for worker, times in zip(workers, seconds, strict=True):
                took = worker.ask(True)
                if done >= 0:
                    times.append(took)
            observer.progress(max(0, done + 1), rounds)
        peaks = [worker.ask(False) for worker in workers]
    return [
        Latency(
            runtime=candidate.runtime,
            threads=candidate.threads,
            batch=batch,
            size=size,
            rounds=rounds,
            median_seconds=float(np.median(times)),
            p99_seconds=float(np.quantile(times, 0.99)),
            images_per_second=batch / float(np.median(times)),
            peak_memory_bytes=int(peak),
            loaded_memory_bytes=int(before),
        )
        for candidate, times, peak, before in zip(candidates, seconds, peaks, loaded, strict=True)
    ]


@contextlib.contextmanager
def _process(candidate: Candidate, size: Size, batch: int) -> Iterator[Connection]:
    # A forked process would inherit the parent's memory, and thread pools that do not survive the fork.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, candidate, size, batch), daemon=True)
    # Threads that wait for their next turn must sleep soon, whatever the user set: another candidate is being timed.
    variables = SHORT_WAITS | {"KMP_BLOCKTIME": "1", "OMP_NUM_THREADS": str(candidate.threads)}
    with environment(variables), without_main():
        process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(timeout=5)
        if process.is_alive():
            process.kill()
            process.join()


class _Worker(NamedTuple):
    """The process of a candidate, as its parent sees it."""

    runtime: str
    connection: Connection

    def ask(self, more: bool) -> float:
        """Ask for one more pass, or for the end; returns the seconds of the pass, or the peak memory."""
        with contextlib.suppress(OSError):  # the process has died, which the missing answer shows
            self.connection.send(more)
        return self.answer()

    def answer(self) -> float:
        """The next number that the process sends; raises the error that it sends instead."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            raise _too_large(self.runtime, "its process died") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _too_large(runtime: str, reason: str) -> ResourceError:
    return ResourceError(
        "S607",
        f"{runtime}: the network could not be timed, probably for lack of memory: {reason}",
        "choose a smaller `size`, or fewer runtimes and numbers of threads at a time: all of them stay loaded",
    )


def _explained(runtime: str, error: Exception) -> PixelwiseError:
    """The error that the parent is told of when a candidate fails."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if isinstance(error, PixelwiseError):
        return error
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_out_of_memory(error)):
        return _too_large(runtime, reason)
    return CheckpointError("K463", f"{runtime} fails on this network: {reason}", "leave this runtime out")


def _serve(parent: Connection, candidate: Candidate, size: Size, batch: int) -> None:
    """Serve a candidate in its own process.

    Sends the peak memory after loading, then the seconds of one pass per request, finally the peak memory again.
    """
    try:
        run = _prepared(candidate, size, batch)
        parent.send(peak_memory())
        while parent.recv():
            start = time.perf_counter()
            run()
            parent.send(time.perf_counter() - start)
        parent.send(peak_memory())
    except EOFError:
        return  # the parent has stopped
    except Exception as error:  # the parent must be told of any error, or it would wait forever
        parent.send(_explained(candidate.runtime, error))


def _prepared(candidate: Candidate, size: Size, batch: int) -> Callable[[], object]:
    """A function that runs one pass over random images, in the candidate's input format."""
    import torch

    torch.set_num_threads(candidate.threads)
    if candidate.runtime in EAGER:
        return _eager(candidate, size, batch)
    from pixelwise.runtimes import load_artefact

    model = load_artefact(Path(candidate.source), candidate.threads, trust=candidate.trust)
    if model.fixed_size is not None and batch > 1:
        raise RecipeError(
            "R244",
            f"{candidate.source} takes one image per pass, and `batch` is {batch}",
            "leave `batch` out, or export it again with `dynamic`",
        )
    facts = model.sidecar.input
    if model.fixed_size not in (None, size):
        raise RecipeError(
            "R245",
            f"{candidate.source} takes only images of size {model.fixed_size}, not {size} (height, width)",
            "measure at its size, or export it again with `dynamic`",
        )
    rng = np.random.default_rng(0)
    channels = len(model.preprocessing.mean)
    if facts.dtype == "uint8":
        images = rng.integers(0, 256, (batch, *size, channels), dtype=np.uint8)
    else:
        images = rng.standard_normal((batch, channels, *size), dtype=np.float32)
    return lambda: model.run(images)


def _eager(candidate: Candidate, size: Size, batch: int) -> Callable[[], object]:
    import torch

    from pixelwise.checkpoints.trained import load_trained
    from pixelwise.models import build_model

    path = Path(candidate.source)
    model = (
        load_trained(path, for_classes=False).model
        if path.is_dir()
        else build_model(candidate.source, candidate.num_classes)
    )
    model.eval()
    images = torch.randn(batch, len(model.preprocessing.mean), *size)
    form = EAGER[candidate.runtime].precision
    if form.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = images.contiguous(memory_format=torch.channels_last)
    dtype = torch.bfloat16 if form.dtype == "bfloat16" else None

    def run() -> object:
        with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            return model.head_logits(images)[0] if candidate.head else model(images)

    return run
