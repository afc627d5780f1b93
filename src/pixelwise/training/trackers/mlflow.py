"""Tracker for MLflow: a server (`MLFLOW_TRACKING_URI`), a database file, or MLflow's default on this machine."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.records.tracking.marks import without_secrets
from pixelwise.records.tracking.series import Point, parameters_of, tags_of
from pixelwise.storage import sha256_bytes
from pixelwise.training.trackers.curves import PROJECT, CurveTracker, require_package
from pixelwise.training.trackers.tracker import State, TrackedPicture, TrackedRun, register_tracker

INSTALL = "pixelwise[mlflow]"
MOST_METRICS = 1000
"""Largest number of metrics of one request to a server."""
MOST_PARAMETERS = 100
"""Largest number of parameters or tags of one request to a server."""
LONGEST_NAME, LONGEST_PARAMETER, LONGEST_TAG = 240, 500, 5000
"""Largest lengths of names (250, with a hash) and of values that every version of MLflow stores."""
STATUS: dict[State, str] = {"training": "RUNNING", "stopped": "KILLED", "finished": "FINISHED"}
_UNUSUAL = re.compile(r"[^\w\-. /]")


@register_tracker("mlflow")
class MlflowTracker(CurveTracker):
    """Sends a run to MLflow, into the experiment of `MLFLOW_EXPERIMENT_NAME`, or `pixelwise`.

    Raises:
        RecipeError: R272, the package mlflow is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mlflow = require_package("mlflow", "mlflow", INSTALL)
        for name in ("mlflow", "alembic"):  # which describe on the screen how they prepare a database
            logging.getLogger(name).setLevel(logging.WARNING)
        self._entities = require_package("mlflow.entities", "mlflow", INSTALL)
        self._client: Any = None
        self._state: State = "training"

    @classmethod
    def require(cls) -> None:
        """Refuse to go on without the package mlflow (R272)."""
        require_package("mlflow", "mlflow", INSTALL)

    def place(self) -> str:
        """The address of the server or database."""
        return self._mlflow.get_tracking_uri()

    def open(self, run: TrackedRun) -> None:
        """Create a run, with the recipe as its parameters, or go on with the one of `run.tracked`."""
        address = self._mlflow.get_tracking_uri()
        self._client = self._mlflow.MlflowClient(address)
        shown = without_secrets(address)
        self.where = f"MLflow: {shown}" if address.startswith("http") else f"mlflow ui --backend-store-uri {shown}"
        if run.tracked:
            self._client.get_run(run.tracked)  # one that is gone raises MLflow's own error
            self._client.update_run(run.tracked, status=STATUS["training"])
            self.tracked = run.tracked
            return
        tags = {"mlflow.source.name": run.name, **tags_of(run.environment, run.data)}
        cut = {_clean(name): value[:LONGEST_TAG] for name, value in tags.items()}
        made = self._client.create_run(self._experiment(), run_name=run.name, tags=cut)
        self.tracked = made.info.run_id
        kind = self._entities.Param
        fields = parameters_of(run.recipe).items()
        parameters = [kind(_clean(name), str(value)[:LONGEST_PARAMETER]) for name, value in fields]
        for part in _parts(parameters, MOST_PARAMETERS):
            self._client.log_batch(self.tracked, params=part)

    def send(self, points: Sequence[Point]) -> None:
        """Send the points, at the present time: the log has none."""
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(_clean(point.name), point.value, now, point.step) for point in points]
        for part in _parts(metrics, MOST_METRICS):
            self._client.log_batch(self.tracked, metrics=part)

    def picture(self, picture: TrackedPicture) -> None:
        """Send a picture."""
        key = _UNUSUAL.sub("_", picture.id).replace("/", "_")
        self._client.log_image(self.tracked, picture.pixels, key=f"prediction-{key}", step=picture.step)

    def file(self, name: str, path: Path) -> None:
        """Send a file as an artifact under its path in the run folder."""
        folder = name.rpartition("/")[0]
        self._client.log_artifact(self.tracked, str(path), folder or None)

    def state(self, state: State) -> None:
        """Keep how the run stands for the end."""
        self._state = state

    def finish(self) -> None:
        """Say how the run stands."""
        self.flush()
        if self._state == "training":
            return
        self._client.set_terminated(self.tracked, STATUS[self._state])

    def _experiment(self) -> str:
        """The id of the experiment."""
        if known := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return known
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found is not None else self._client.create_experiment(name)


def _clean(name: str) -> str:
    """The name with letters, digits and `_-. /` alone, which MLflow accepts; a changed one has a hash at its end."""
    parts = [_UNUSUAL.sub("_", part) for part in name.split("/")]
    clean = "/".join(part if part.strip(".") else f"_{part}" for part in parts)[:LONGEST_NAME]
    return clean if clean == name else f"{clean}-{sha256_bytes(name.encode('utf-8', 'surrogateescape'))[:4]}"


def _parts(items: list[Any], most: int) -> list[list[Any]]:
    return [items[begin : begin + most] for begin in range(0, len(items), most)]
