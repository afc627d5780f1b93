"""`division.json` of a run that leaves images out of its training: which ones it learns from, and which it never sees.

Without the file, the splits of the data set are those of the run.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.records import json_files
from pixelwise.storage import json_text, write_text

DIVISION = "division.json"
HELD_OUT = "held-out"
"""Name of the split of the images that a run of a cross-validation never sees while it is trained."""
_STAGES = "stages"


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """How a run divides the images of its data set. Ids are those of the split `all`, of all images of the data set.

    Attributes:
        learned: Split -> ids of its images, for the splits that the training opens.
        held_out: Ids of the images of the split `HELD_OUT`, which the training does not open.
    """

    learned: dict[str, tuple[str, ...]] = {}
    held_out: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """All splits, that of the images which are held out last."""
        return {**self.learned, HELD_OUT: self.held_out}


def division_of(run: Path | None) -> Division | None:
    """How a run, or the run that it is a stage of, divides its data; None if it takes the splits of the data set.

    Args:
        run: The run folder; None for no run.

    Raises:
        CheckpointError: K423, the file is damaged.
    """
    if run is None:
        return None
    for folder in (run, *([run.parent.parent] if run.parent.name == _STAGES else [])):
        if (folder / DIVISION).exists():
            division = json_files.read_json(folder / DIVISION, Division)
            if not division.held_out:
                raise CheckpointError("K423", f"{folder / DIVISION} names no image", "restore it, or train again")
            return division
    return None


def write_division(run: Path, division: Division) -> None:
    """Write `division.json` into the folder of a run, which need not exist yet.

    Raises:
        ResourceError: S601, the disk is full.
    """
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / DIVISION, json_text(division))
