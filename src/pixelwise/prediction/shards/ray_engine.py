"""Units of work done by the workers of Ray, on one machine or many.

Ray Data calls a worker at least once for each unit: the units of one that died are done again, by another. What is
visible stays single, because a unit counts only by its receipt.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import msgspec

from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.prediction.receipts.shares import ClusterOptions

INSTALL = "pip install 'pixelwise[cluster]'"


Receipt = TypeVar("Receipt", bound=msgspec.Struct)
Work = Callable[[Any], msgspec.Struct]
"""Does a unit and returns what is to be known of it."""


class Worker:
    """An actor of Ray, which loads the network with its first unit and then does units."""

    def __init__(self) -> None:
        # What the constructor would be given lies in Ray's object store, from where a worker that is restarted might
        # not get it any more.
        self._work: Work | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Do the units of a batch; an error is a row as well, because an exception would end all of the work."""
        rows: dict[str, list[bytes]] = {"receipt": [], "error": []}
        for content in batch["task"]:
            receipt, error = b"", b""
            try:
                unit, open_worker = pickle.loads(content)
                work = self._work = self._work or open_worker()
                receipt = msgspec.json.encode(work(unit))
            except PixelwiseError as raised:
                error = pickle.dumps(raised)
            rows["receipt"].append(receipt)
            rows["error"].append(error)
        return rows


def over_ray(
    units: Sequence[Any], open_worker: Callable[[], Work], kind: type[Receipt], options: ClusterOptions
) -> Generator[Receipt, None, None]:
    """Do units with the workers of a Ray cluster, or of this machine.

    Args:
        units: The units, which can be pickled.
        open_worker: Called once in each worker; what it returns does the units. It can be pickled. What it reads of
            folders is on every machine under the same name.
        kind: Type of what is returned for a unit.
        options: Number of workers, and where they are.

    Yields:
        What is returned for the units, as they become done.

    Raises:
        RecipeError: R240, Ray is not installed; R252, it cannot start as many workers as asked for.
        PixelwiseError: The first error of a unit, after all others are done.
    """
    if not units:
        return
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        ray.init(address=options.address, log_to_driver=False, include_dashboard=False, logging_level="error")
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        workers = _number_of_workers(ray, options)
        tasks = [{"task": pickle.dumps((unit, open_worker))} for unit in units]
        rows = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            Worker,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
            num_cpus=1,
            num_gpus=options.gpus_per_worker or None,
        )
        first = None
        for row in rows.iter_rows():
            if row["error"]:
                first = first or pickle.loads(row["error"])
            else:
                yield msgspec.json.decode(row["receipt"], type=kind)
        if first is not None:
            raise first
    finally:
        if started:
            ray.shutdown()


def _number_of_workers(ray: Any, options: ClusterOptions) -> int:
    """As many as asked for, or as there is room for: a core is left to Ray itself, without which it waits for ever."""
    there = ray.cluster_resources()
    gpus = options.gpus_per_worker
    room = int(there.get("CPU", 1)) - 1
    if gpus:
        room = min(room, int(there.get("GPU", 0) / gpus))
    wanted = options.workers
    if (wanted or 1) > max(room, 1) or (gpus and room < 1):
        needs = f"{gpus:g} GPUs and a core each" if gpus else "a core each"
        raise RecipeError(
            "R252",
            f"Ray has {there.get('CPU', 0):g} cores, one of which it needs itself, and {there.get('GPU', 0):g} GPUs; "
            f"{wanted or 1} workers need {needs}",
            "lower `workers` or `gpus_per_worker`, or give the `address` of a larger cluster",
        )
    return wanted or max(room, 1)


def _ray() -> Any:
    # Its core writes about its actors to the standard error of whoever starts it.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise RecipeError("R240", "the engine `ray` needs Ray Data, which is not installed", INSTALL) from error
    return ray
