"""`evaluations/SPLIT-PROTOCOL/`: the results of a run or of an exported artefact."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.records.result import RESULT, ImageScore, Result, load_per_image, load_result
from pixelwise.storage import portable

EVALUATIONS = "evaluations"
SAMPLES = "samples"


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One folder below `evaluations/`.

    Attributes:
        folder: Path of the folder.
        result: The content of its `result.json`.
        per_image: Scores of each image; empty if they were not stored.
    """

    folder: Path
    result: Result
    per_image: tuple[ImageScore, ...]


def evaluation_folder(run: Path, split: str, protocol: str) -> Path:
    """Folder of the result of a split under a protocol."""
    return run / EVALUATIONS / portable(f"{split}-{protocol}")


def find_result(run: Path, split: str, protocol: str) -> Result | None:
    """The result of a split under a protocol; None if there is none.

    Raises:
        DataError: D240, the file is damaged.
    """
    folder = evaluation_folder(run, split, protocol)
    return load_result(folder) if (folder / RESULT).is_file() else None


def result_files(run: Path) -> list[Path]:
    """The result files of a run, sorted by the names of split and protocol."""
    return sorted((run / EVALUATIONS).glob(f"*/{RESULT}"))


def read_evaluations(run: Path) -> list[Evaluation]:
    """All evaluations of a run, sorted by the names of split and protocol.

    Raises:
        DataError: D240, a file is damaged.
    """
    return [
        Evaluation(folder=file.parent, result=load_result(file), per_image=load_per_image(file.parent))
        for file in result_files(run)
    ]
