"""`trackers/NAME.json`: what a tracker has received of a run, so that nothing is sent twice and nothing is forgotten.

A run that is resumed repeats the steps after its checkpoint. What was sent of them stays, and the mark says from where
on the log is new again.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.storage import json_text, portable, printable, write_text
from pixelwise.storage.documents import DocumentError, read_json

TRACKERS = "trackers"
_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 6
_USER = re.compile(r"://[^/?#\s]*@")
_PARAMETERS = re.compile(r"(://[^\s?#'\"]+)[?#][^\s'\"]+")


class Position(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Place of a record among those of its kind; later records have greater ones.

    Attributes:
        step: Number of steps done when the record was written, or the greatest one before it in the log.
        number: Number of records of the kind before it at that step.
    """

    step: int
    number: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a tracker has received of a run. Every field has a default: a tracker without a mark knows nothing of it.

    Attributes:
        place: Where the tracker keeps it: an address without user, password and parameters, or a folder.
        tracked: Name under which the tracker knows the run there; empty before the tracker was started.
        sent: Kind of records -> position of the last one that the tracker has received.
        files: Name of a file of the run, below its folder -> SHA-256 of what was sent of it.
        trouble: Why the tracker was given up; empty if it was not.
    """

    place: str = ""
    tracked: str = ""
    sent: dict[str, Position] = {}
    files: dict[str, str] = {}
    trouble: str = ""

    @property
    def step(self) -> int:
        """The last step that was sent; 0 before the first."""
        return self.sent["step"].step if "step" in self.sent else 0


def mark_file(run: Path, tracker: str) -> Path:
    """Path of the mark of a tracker within the run folder."""
    return run / TRACKERS / f"{portable(tracker)}.json"


def read_mark(run: Path, tracker: str) -> Mark:
    """The mark of a tracker; the defaults if there is none.

    Raises:
        CheckpointError: K423, the file is damaged.
    """
    path = mark_file(run, tracker)
    try:
        return read_json(path, Mark)
    except DocumentError as error:
        if error.missing:
            return Mark()
        raise CheckpointError(
            "K423",
            f"{printable(path)} is damaged: {error.reason}",
            f"remove it, and send the run anew with `pixelwise track {shlex.quote(printable(run))} --to {tracker}`, "
            "which begins another tracked run",
        ) from error


def write_mark(run: Path, tracker: str, mark: Mark) -> None:
    """Write the mark of a tracker.

    Raises:
        ResourceError: S601, the disk is full.
    """
    path = mark_file(run, tracker)
    path.parent.mkdir(exist_ok=True)
    write_text(path, json_text(mark))


def without_secrets(text: str) -> str:
    """The text without what gives access: users and parameters of addresses, and secrets of environment variables.

    Messages of other packages quote addresses with passwords, and files of a run may be given away.
    """
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAMES.search(name):
            text = text.replace(value, "***")
    return _PARAMETERS.sub(r"\1", _USER.sub("://", text))
