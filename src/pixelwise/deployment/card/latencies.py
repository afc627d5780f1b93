"""The latency table of one model: exported to every runtime that is asked for, then measured in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pixelwise.deployment.export.export import export
from pixelwise.errors import RecipeError
from pixelwise.profiling.latency import EAGER, ROUNDS, Candidate, Latency, LatencyRuntime, measure_latency
from pixelwise.recipes.protocols import Size
from pixelwise.runtimes import is_artefact, read_sidecar


def latency_table(
    model: str,
    runtimes: Sequence[LatencyRuntime],
    size: Size,
    threads: Sequence[int] = (1,),
    *,
    num_classes: int | None = None,
    batch: int = 1,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Latency]:
    """Measure a model in several runtimes, each with several numbers of threads.

    Logits come out everywhere, at the image's size.

    Args:
        model: A run folder, the name of a recipe (random weights), or an artefact, which runs in its own runtime only.
        runtimes: Which.
        size: (height, width).
        threads: Which numbers of threads.
        num_classes: Outputs where a recipe leaves them to the data.
        batch: Images per pass.
        rounds: Measured passes of each.
        progress: Told (rounds done, rounds in all).

    Raises:
        RecipeError: R240 a package is missing; R245 an artefact cannot be measured so; as `export`.
        CheckpointError: As `export`.
    """
    path = Path(model)
    if is_artefact(path):
        own = read_sidecar(path)[0].runtime
        if set(runtimes) != {own}:
            raise RecipeError(
                "R245", f"{model} was exported for {own} and runs in nothing else", f"--runtime {own}, or give the run"
            )
    with tempfile.TemporaryDirectory() as folder:
        sources = dict.fromkeys(runtimes, model)
        for runtime in runtimes:
            if runtime in EAGER or is_artefact(path):
                continue
            exported = export(
                model,
                Path(folder) / runtime,
                runtime,  # type: ignore[arg-type]
                weights=None if path.is_dir() else "none",
                num_classes=num_classes,
                # Of one image or several: only a graph of any size takes a batch.
                dynamic=batch > 1,
                size=size,
            )
            sources[runtime] = str(exported.path)
        candidates = [
            Candidate(source=sources[runtime], runtime=runtime, threads=count, num_classes=num_classes)
            for runtime in runtimes
            for count in threads
        ]
        return measure_latency(candidates, size, batch=batch, rounds=rounds, progress=progress)
