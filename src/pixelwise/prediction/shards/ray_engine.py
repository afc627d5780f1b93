"""Prediction into tars by the workers of Ray, on one machine or many.

Ray Data calls a worker at least once for each unit: the units of one that died are predicted again, by another. What is
visible stays single, because a unit counts only by its receipt.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Generator, Sequence
from typing import Any

import msgspec

from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.shards.commits import Commits, Receipt
from pixelwise.prediction.shards.units import Unit
from pixelwise.prediction.shards.work import Job, load_for, predict_shard

INSTALL = "pip install 'pixelwise[cluster]'"


class Worker:
    """An actor of Ray, which loads the network with its first unit and then predicts units."""

    def __init__(self) -> None:
        # What the constructor would be given lies in Ray's object store, from where a worker that is restarted might
        # not get it any more.
        self._opened: tuple[Job, Engine, Commits] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Predict the units of a batch; an error is a row as well, because an exception would end all of the work."""
        rows: dict[str, list[bytes]] = {"receipt": [], "error": []}
        for content in batch["task"]:
            receipt, error = b"", b""
            try:
                unit, job = pickle.loads(content)
                receipt = msgspec.json.encode(self._predict(unit, job))
            except PixelwiseError as raised:
                error = pickle.dumps(raised)
            rows["receipt"].append(receipt)
            rows["error"].append(error)
        return rows

    def _predict(self, unit: Unit, job: Job) -> Receipt:
        if self._opened is None:
            self._opened = job, load_for(job), Commits(job.output, job.name)
        job, engine, commits = self._opened
        return predict_shard(unit, engine, commits, job)


def over_ray(units: Sequence[Unit], job: Job) -> Generator[Receipt, None, None]:
    """Predict units with the workers of a Ray cluster, or of this machine.

    Args:
        units: The units.
        job: The job; its run, and its output if that is a folder, are on every machine under the same name.

    Yields:
        The receipts, as the units become done.

    Raises:
        RecipeError: R240, Ray is not installed; R252, it cannot start as many workers as asked for.
        PixelwiseError: The first error of a unit, after all others are done.
    """
    if not units:
        return
    ray = _ray()
    options = job.options
    started = not ray.is_initialized()
    if started:
        ray.init(address=options.address, log_to_driver=False, include_dashboard=False, logging_level="error")
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        workers = _number_of_workers(ray, job)
        tasks = [{"task": pickle.dumps((unit, job))} for unit in units]
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
                yield msgspec.json.decode(row["receipt"], type=Receipt)
        if first is not None:
            raise first
    finally:
        if started:
            ray.shutdown()


def _number_of_workers(ray: Any, job: Job) -> int:
    """As many as asked for, or as there is room for: a core is left to Ray itself, without which it waits for ever."""
    there = ray.cluster_resources()
    gpus = job.options.gpus_per_worker
    room = int(there.get("CPU", 1)) - 1
    if gpus:
        room = min(room, int(there.get("GPU", 0) / gpus))
    wanted = job.options.workers
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
