"""Latency of the rows of a deploy card, and of one model in several runtimes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.deployment.card.candidates import advised, reason_of
from pixelwise.deployment.card.rows import CardRow
from pixelwise.deployment.export.export import export
from pixelwise.deployment.export.sources import refuse_classes
from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.machine.facts import Machine, machine_facts, version_facts
from pixelwise.observer import SILENT, Observer
from pixelwise.profiling.latency import Candidate, Latency, measure_latency
from pixelwise.profiling.options import ProfileOptions
from pixelwise.profiling.runtimes import EAGER, refuse_unknown_runtime
from pixelwise.profiling.subjects import classes_of, recipe_of
from pixelwise.recipes.default_sizes import seen_size
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes import is_artefact, read_sidecar
from pixelwise.runtimes.targets import find_target

_ADVICE = {
    "K461": "leave this runtime out of `runtimes`, or leave `batch` out, which needs a graph for images of any size",
    "K465": "leave this runtime out of `runtimes`, or choose another `size`",
}
"""Code of an error -> help that names options of `profile` instead of those of `export`."""


class LatencyTable(msgspec.Struct, frozen=True, kw_only=True):
    """Latency of one model in several runtimes.

    Attributes:
        model: The model as given by the user: a path or the name of a recipe.
        rows: One row per runtime and number of threads.
        machine: Hardware of the measurement.
        versions: Versions of Python and the relevant packages.
    """

    model: str
    rows: tuple[Latency, ...]
    machine: Machine
    versions: dict[str, str]


def measure_runtimes(
    model: str | os.PathLike[str], options: ProfileOptions, observer: Observer = SILENT
) -> LatencyTable:
    """Measure the latency of a model in several runtimes, each with several numbers of threads.

    In every runtime the network returns logits of the image's size, except that an artefact runs as it was exported.

    Args:
        model: A run folder, a folder of imported weights, the name of a recipe (random weights), or an artefact, which
            runs in its own runtime only.
        options: Runtimes, numbers of threads, image size, batch size, rounds, and number of classes.
        observer: Receives the number of finished rounds.

    Raises:
        RecipeError: R240 a package is missing; R245 the artefact was exported for another runtime or size; R250 there
            is no such runtime; R244 the runtime takes no batches; R251 the model has its own classes; as `export`.
        CheckpointError: As `export`.
    """
    named, path = os.fspath(model), Path(model)
    runtimes = list(dict.fromkeys(options.runtimes))
    for runtime in runtimes:
        refuse_unknown_runtime(runtime)
    _refuse_batch(runtimes, options.batch)
    exported = is_artefact(path)
    if exported and set(runtimes) != {own := read_sidecar(path)[0].runtime}:
        raise RecipeError(
            "R245",
            f"{named} was exported for {own} and runs in no other runtime; `runtimes` is {','.join(runtimes)}",
            f"set `runtimes` to {own}, or give the run instead of the artefact",
        )
    size, classes = options.size or _usual_size(named), _number_of_classes(named, options.num_classes)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sources = dict.fromkeys(runtimes, named)
        for runtime in runtimes:
            if runtime in EAGER or exported:
                continue
            try:
                made = export(
                    named,
                    Path(folder) / runtime,
                    runtime,
                    observer=observer,
                    weights=None if path.is_dir() else "none",
                    num_classes=classes,
                    dynamic=options.batch > 1,  # only such a graph takes several images
                    size=size,
                    output_stride=1,
                )
            except PixelwiseError as error:
                raise advised(error, _ADVICE) from error
            sources[runtime] = str(made.path)
        facts = {"num_classes": classes, "trust": options.trust or not exported}  # it was written here
        candidates = [
            Candidate(source=sources[runtime], runtime=runtime, threads=count, **facts)
            for runtime in runtimes
            for count in options.threads or (1,)
        ]
        observer.phase("measuring latency")
        rows = measure_latency(candidates, size, batch=options.batch, rounds=options.rounds, observer=observer)
    return LatencyTable(model=named, rows=tuple(rows), machine=machine_facts(), versions=version_facts())


def _refuse_batch(runtimes: Sequence[str], batch: int) -> None:
    """Refuse a batch of several images for formats whose artefacts take one image.

    Raises:
        RecipeError: R244, one of the runtimes runs such a format.
    """
    single = [runtime for runtime in runtimes if runtime not in EAGER and not find_target(runtime).any_size]
    if batch > 1 and single:
        raise RecipeError(
            "R244",
            f"{', '.join(single)} takes one image per pass, and `batch` is {batch}",
            f"leave `batch` out, or leave {', '.join(single)} out of `runtimes`",
        )


def _number_of_classes(model: str, asked: int | None) -> int | None:
    """As `classes_of`; None for runs and artefacts, which have their own number of classes.

    Raises:
        RecipeError: R251, a number was asked for nevertheless.
    """
    path = Path(model)
    if not (path.is_dir() or is_artefact(path)):
        return classes_of(recipe_of(model), asked)
    refuse_classes(model, asked)
    return None


def _usual_size(model: str) -> Size:
    """Default size: an artefact's input size, or the one its MACs refer to; for others the recipe's `seen_size`."""
    path = Path(model)
    if is_artefact(path):
        sidecar = read_sidecar(path)[0]
        return sidecar.input.size or sidecar.complexity.size
    return seen_size(recipe_of(model))


def with_latencies(
    rows: Sequence[CardRow],
    run: Path,
    output: Path,
    size: Size,
    threads: Sequence[int],
    rounds: int,
    observer: Observer = SILENT,
) -> list[CardRow]:
    """Add latencies, measured interleaved, to rows; a row that cannot be measured gets the reason.

    Where the artefacts return logits at the network's own stride, PyTorch is measured so too.

    Args:
        rows: Rows without latencies.
        run: The run folder, for the rows of PyTorch.
        output: The card's folder, which contains the artefacts' folders.
        size: (height, width) of the images.
        threads: Numbers of threads to measure with.
        rounds: Timed passes per row and number of threads; 0: latency is not measured.
        observer: Receives the number of finished rounds.
    """
    head = any(_gives_head_logits(output / row.folder) for row in rows if row.folder)

    def candidates(row: CardRow) -> list[Candidate]:
        source = str(output / row.folder) if row.folder else str(run)
        facts = {"source": source, "runtime": row.runtime, "trust": True, "head": head}
        return [Candidate(threads=count, **facts) for count in threads]

    def measure(indices: Sequence[int], passes: int) -> list[Latency]:
        chosen = [one for index in indices for one in candidates(rows[index])]
        return measure_latency(chosen, size, rounds=passes, observer=observer)

    finished = list(rows)
    chosen = [index for index, row in enumerate(rows) if not row.reason]
    if rounds == 0 or not chosen:
        return finished
    observer.phase("measuring latency")
    try:
        found = measure(chosen, rounds)
    except PixelwiseError:
        # One failing row must not stop the others: each is tried alone, and those that run are measured together.
        for index in tuple(chosen):
            try:
                measure([index], 1)
            except PixelwiseError as error:
                finished[index] = msgspec.structs.replace(rows[index], reason=reason_of(error))
                chosen.remove(index)
        found = measure(chosen, rounds) if chosen else []
    for place, index in enumerate(chosen):
        own = tuple(found[place * len(threads) : (place + 1) * len(threads)])
        finished[index] = msgspec.structs.replace(rows[index], latencies=own)
    return finished


def _gives_head_logits(artefact: Path) -> bool:
    """Whether an artefact returns logits at the network's own stride, which is above 1."""
    try:
        output = read_sidecar(artefact)[0].output
    except PixelwiseError:
        return False  # its row gets the reason when it is measured
    return output.name == "logits" and output.stride == output.head_stride != 1
