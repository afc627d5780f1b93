"""Tracker for Weights & Biases: with a key on its server, without one into files that can be synced later."""

from __future__ import annotations

import netrc
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pixelwise.records.tracking.marks import without_secrets
from pixelwise.records.tracking.series import Point, parameters_of, tags_of
from pixelwise.storage import printable
from pixelwise.training.trackers.curves import PROJECT, CurveTracker, require_package
from pixelwise.training.trackers.tracker import State, TrackedPicture, TrackedRun, register_tracker

INSTALL = "pixelwise[wandb]"
SERVER = "https://api.wandb.ai"
FOLDER = "wandb"
"""Name of the folder that W&B creates within the run folder."""
_MODES = ("offline", "dryrun", "disabled", "shared")
"""Modes of `WANDB_MODE` that need no key, or more than one: they are left as they are."""
_STEP = "step"


@register_tracker("wandb")
class WandbTracker(CurveTracker):
    """Sends a run to W&B, into the project of `WANDB_PROJECT`, or `pixelwise`. Never asks for a key.

    Raises:
        RecipeError: R272, the package wandb is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        os.environ.setdefault("WANDB_SILENT", "true")  # its remarks would go into the display of the training
        self._wandb = require_package("wandb", "wandb", INSTALL)
        self._state: State = "training"
        self._run: Any = None
        self._folder = Path()

    @classmethod
    def require(cls) -> None:
        """Refuse to go on without the package wandb (R272)."""
        require_package("wandb", "wandb", INSTALL)

    def place(self) -> str:
        """The server, or that there is none."""
        return _server() if _mode() == "online" else _mode()

    def open(self, run: TrackedRun) -> None:
        """Create a run with the recipe as its configuration, or go on with the one of `run.tracked`."""
        self._folder = run.folder
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.name,
            id=run.tracked or None,
            resume="allow" if run.tracked else None,
            reinit="create_new",
            mode=_mode(),
            dir=str(run.folder),
            config=parameters_of(run.recipe) | {"tags": tags_of(run.environment, run.data)},
            settings=self._wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True
            ),
        )
        # Series come in the order in which they were measured, not in that of the steps of all of them.
        self._run.define_metric(_STEP, hidden=True)
        self._run.define_metric("*", step_metric=_STEP)
        self.tracked = self._run.id
        place = shlex.quote(printable(run.folder / FOLDER))
        self.where = f"wandb sync {place}/offline-run-*" if _mode() != "online" else f"W&B: {self._run.url}"

    def send(self, points: Sequence[Point]) -> None:
        """Send the points, those of one step together."""
        rows: dict[int, dict[str, float]] = {}
        for point in points:
            rows.setdefault(point.step, {})[point.name] = point.value
        for step in sorted(rows):
            self._run.log({**rows[step], _STEP: step})

    def picture(self, picture: TrackedPicture) -> None:
        """Send a picture."""
        name = f"prediction/{picture.id.replace('/', '_')}"
        self._run.log({name: self._wandb.Image(picture.pixels), _STEP: picture.step})

    def file(self, name: str, path: Path) -> None:
        """Send a file under its path in the run folder."""
        self._run.save(str(path), base_path=str(self._folder), policy="now")

    def state(self, state: State) -> None:
        """Keep how the run stands for the end."""
        self._state = state

    def finish(self) -> None:
        """Close the run; one that was stopped counts as failed until it is resumed."""
        self.flush()
        self._run.finish(exit_code=int(self._state == "stopped"))


def _server() -> str:
    return without_secrets(os.environ.get("WANDB_BASE_URL") or SERVER)


def _mode() -> str:
    """`online` only where there is a key; otherwise W&B would ask for one."""
    wanted = os.environ.get("WANDB_MODE", "").lower()
    if wanted in _MODES:
        return "offline" if wanted == "dryrun" else wanted
    return "online" if os.environ.get("WANDB_API_KEY") or _has_login() else "offline"


def _has_login() -> bool:
    """Whether `wandb login` has noted a key for the server in the user's netrc file."""
    try:
        found = netrc.netrc(os.environ.get("NETRC") or None).authenticators(urlsplit(_server()).hostname or "")
    except (OSError, netrc.NetrcParseError, KeyError, RuntimeError):
        return False
    return found is not None
