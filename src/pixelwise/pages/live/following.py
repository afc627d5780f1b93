"""A run that is followed: what its page shows now, made from what its files have said since the last look."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pixelwise.errors import PixelwiseError
from pixelwise.pages.live.digest import Digest
from pixelwise.pages.live.standing import Standing, standing_of
from pixelwise.pages.live.tailing import Tail
from pixelwise.pages.live.thinning import Curve, Point
from pixelwise.pages.rendering import page
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.log import LOG, AnyRecord
from pixelwise.records.pictures import LISTING, PICTURES, Pictures, read_pictures
from pixelwise.records.run_folder import RECIPE, read_recipe
from pixelwise.records.standing import has_finished
from pixelwise.records.status import STATUS, RunStatus, read_status
from pixelwise.reports.live.curves import percent, rounded
from pixelwise.reports.live.notes import notes
from pixelwise.reports.live.page import commands, facts_of, legend_of, sentence_of, share_of, stages_of
from pixelwise.reports.numbers import count

FRAGMENTS = {"now": "live_now.html", "scores": "live_scores.html", "next": "live_next.html"}
"""Parts of the page that are replaced when they change -> their templates."""


class Shown(NamedTuple):
    """What the page of a run shows.

    Attributes:
        mark: Changes when the log was written anew, so that what was sent of it is no longer true.
        steps: Step, loss, learning rate and norm of the gradient.
        evaluations: Step, mIoU and the IoU of every class, in percent.
        paces: Step, and speed in images per second.
        classes: Names and colours of the classes, as far as they are known.
        fragments: Name of a part of the page -> its HTML.
        moments: Step and file names of every kept prediction, and the images they are of.
        said: What screen readers say when it changes: the state and the latest evaluation.
        state: Name of the state of the run.
    """

    mark: str
    steps: Curve
    evaluations: Curve
    paces: tuple[Point, ...]
    classes: tuple[tuple[str, str], ...]
    fragments: dict[str, str]
    moments: Pictures
    said: str
    state: str


class Follower:
    """Follows one run.

    Args:
        run: The run folder.
        holds: Whether a file may be read.
        clock: Gives the Unix time.
    """

    def __init__(self, run: Path, holds: Callable[[Path], bool], clock: Callable[[], float] = time.time) -> None:
        self._run, self._holds, self._clock = run, holds, clock
        self._tail = Tail(run / LOG)
        self._decoder = msgspec.json.Decoder(AnyRecord)
        self._name = secrets.token_hex(4)  # what another server has sent may have been thinned otherwise
        self._restarts = 0
        self._digest = Digest()
        self._seen: tuple[Any, ...] = ()
        self._shown: Shown | None = None
        self._lock = threading.Lock()

    def look(self) -> Shown:
        """What is to be shown now; the same object as before if nothing has changed. May be called by any thread."""
        with self._lock:
            self._read_log()
            status = self._readable(STATUS) or RunStatus()
            log = self._digest.log()
            standing = standing_of(self._run, status, has_finished(log), self._clock())
            files = [self._run / name for name in (RECIPE, STATUS, Path(PICTURES, LISTING))]
            seen = (self._restarts, self._digest.records, standing, *map(_stamp, files))
            if self._shown is None or seen != self._seen:
                self._shown, self._seen = self._made(status, standing), seen
            return self._shown

    def picture(self, name: str) -> Path | None:
        """The file of a picture that the page shows; None for everything else."""
        path = self._run / PICTURES / name
        return path if name in self._pictures().names() and self._holds(path) and path.is_file() else None

    def _read_log(self) -> None:
        if not self._holds(self._run / LOG):
            return
        for line in self._tail.lines():
            self._notice_restart()
            try:
                self._digest.add(self._decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # a line that was being written when the process was killed, or of another version
        self._notice_restart()

    def _notice_restart(self) -> None:
        if self._tail.restarts != self._restarts:
            self._restarts = self._tail.restarts
            self._digest = Digest()

    def _readable(self, name: str) -> RunStatus | None:
        return read_status(self._run) if self._holds(self._run / name) else None

    def _pictures(self) -> Pictures:
        return read_pictures(self._run) if self._holds(self._run / PICTURES / LISTING) else Pictures()

    def _recipe(self) -> Recipe | None:
        try:
            return read_recipe(self._run) if self._holds(self._run / RECIPE) else None
        except PixelwiseError:
            return None

    def _made(self, status: RunStatus, standing: Standing) -> Shown:
        digest, recipe, pictures = self._digest, self._recipe(), self._pictures()
        live, log = standing.state == "running", digest.log()
        legend = legend_of(recipe) if recipe is not None else []
        steps, evaluations = digest.steps.curve(), digest.evaluations.curve()
        # That the process was killed is the state of the run already.
        noted = msgspec.structs.replace(status, state="over") if standing.state == "lost" else status
        found = notes(log, noted, live=live)
        if (one := digest.note()) is not None:
            found.insert(0, one)
        values: dict[str, Any] = {
            "standing": standing,
            "sentence": sentence_of(self._run, log, status, live) if live or standing.state == "finished" else "",
            "step": steps.points[-1][0] if steps.points else None,
            "facts": facts_of(log, status, live),
            "share": share_of(log, status),
            "notes": found,
            "stage": next((one.name for one in stages_of(self._run) if read_status(one).goes_on(self._clock())), ""),
            "recent": list(reversed(digest.recent)),
            "best": digest.best,
            "class_rows": _class_rows(digest, legend),
            "warnings": list(digest.warnings),
            "commands": commands(self._run, recipe, log, status, live=live) if recipe is not None else [],
            "percent": percent,
            "count": count,
        }
        return Shown(
            mark=f"{self._name}-{self._restarts}-{digest.beginnings}",
            steps=steps,
            evaluations=evaluations,
            paces=tuple((one.step, rounded(one.images_per_second)) for one in status.paces),
            classes=tuple(legend),
            fragments={name: page(template, **values) for name, template in FRAGMENTS.items()},
            moments=pictures,
            said=_said(standing, digest),
            state=standing.state,
        )


def _class_rows(digest: Digest, legend: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Each class with its IoU in the latest and in the best evaluation, in percent."""
    last, best = (digest.recent[-1] if digest.recent else None), digest.best
    if last is None:
        return []
    names = legend if len(legend) == len(last.per_class_iou) else [(str(n), "") for n in range(len(last.per_class_iou))]
    rows = []
    for number, (name, color) in enumerate(names):
        before = best.per_class_iou if best is not None else ()
        rows.append(
            {
                "name": name,
                "color": color,
                "last": percent(last.per_class_iou[number]),
                "best": percent(before[number]) if number < len(before) else None,
            }
        )
    return rows


def _said(standing: Standing, digest: Digest) -> str:
    words = f"The run is {standing.state}."
    if standing.state == "finished":
        words = "The run has finished."
    elif standing.state in ("stopped", "lost"):
        words = f"The run was {standing.state}. {standing.reason}"
    if digest.recent and digest.recent[-1].miou is not None:
        last = digest.recent[-1]
        words += f" Evaluation at step {count(last.step)}: mIoU {percent(last.miou)} %."
    return words


def _stamp(path: Path) -> tuple[int, int]:
    try:
        facts = os.stat(path)
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size
