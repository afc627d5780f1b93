"""Which data a run was trained on, as its folder says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pixelwise.records.run_folder import DATA, ENVIRONMENT


class TrainingData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a run.

    Attributes:
        folder: Folder of the data set; None: the synthetic town, or nobody knows.
        unusable: Per split the ids of the pairs that training left out, because the user allowed their errors.
    """

    folder: Path | None = None
    unusable: dict[str, list[str]] = {}


def training_data(run: Path) -> TrainingData:
    """What a run folder says of its data; nothing in a folder of weights alone."""
    folder = _content(run / ENVIRONMENT).get("arguments", {}).get("data")
    return TrainingData(
        folder=Path(folder) if folder is not None else None, unusable=_content(run / DATA).get("unusable", {})
    )


def _content(path: Path) -> dict[str, Any]:
    return msgspec.json.decode(path.read_bytes()) if path.is_file() else {}
