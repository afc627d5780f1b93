"""`evaluations/`: the results of a run or of an exported artefact, one folder for each question that was asked.

The result of a split under a protocol is in `SPLIT-PROTOCOL/`; that of another data set than the run's own in
`SPLIT-PROTOCOL-FOLDER-FINGERPRINT/`. A result is only ever replaced by the answer to the same question.
"""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Role, fields_with
from pixelwise.recipes.schema.roles import is_in
from pixelwise.records.result import RESULT, Result, load_per_image, load_result
from pixelwise.records.scores import ImageScore
from pixelwise.storage import portable, sha256_bytes

EVALUATIONS = "evaluations"
SAMPLES = "samples"
IMAGES = "per_image.parquet"
"""A row of counts per image, of an evaluation by units."""
_HASH = 8


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
    """Folder of the result of a split of the run's own data under a protocol."""
    return run / EVALUATIONS / portable(f"{split}-{protocol}")


def folder_for(run: Path, result: Result) -> Path:
    """The folder in which a result is saved: that of an older answer to the same question, or a new one.

    Args:
        run: The folder of the run or artefact.
        result: The result to save.
    """
    return next(folder for folder in _places(run, result) if _is_for(folder, result))


def find_result(run: Path, split: str, protocol: str) -> Result | None:
    """The result of a split of the run's own data under a protocol; None if there is none.

    Raises:
        DataError: D240, the file is damaged.
    """
    found = _find(run, split, protocol)
    return None if found is None else found[1]


def find_evaluation(run: Path, split: str, protocol: str) -> Evaluation | None:
    """The evaluation of a split of the run's own data under a protocol; None if there is none.

    Raises:
        DataError: D240, a file is damaged.
    """
    found = _find(run, split, protocol)
    if found is None:
        return None
    return Evaluation(folder=found[0], result=found[1], per_image=load_per_image(found[0]))


def _find(run: Path, split: str, protocol: str) -> tuple[Path, Result] | None:
    """The folder and the result of a split of the run's own data under a protocol."""
    usual = evaluation_folder(run, split, protocol)
    named = sorted(usual.parent.glob(f"{glob.escape(usual.name)}-*/{RESULT}"))
    files = [file for file in (usual / RESULT, *named) if file.is_file()]
    wanted = [
        (file.parent, result)
        for file, result in ((file, load_result(file)) for file in files)
        if (result.split, result.protocol, result.variant) == (split, protocol, "") and result.own_data is not False
    ]
    # Results of earlier versions do not say whose data they are of.
    return next((one for one in wanted if one[1].own_data), wanted[0] if wanted else None)


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


def earlier_result(folder: Path) -> Result | None:
    """The result in a folder that is about to be written; None if there is none or it is damaged."""
    try:
        return load_result(folder) if (folder / RESULT).is_file() else None
    except DataError:
        return None


def question(result: Result) -> tuple[str, ...]:
    """What a result answers, apart from the weights: of two results with equal questions, the newer one is kept."""
    return result.split, result.protocol, result.data_fingerprint, result.variant


def changes_of(result: Result) -> str:
    """The options that make a score another one than that of its split and protocol; empty if none do.

    Among the options in `Result.variant` are also a division into groups and uses of the machine, which change none.
    """
    words = shlex.split(result.variant)
    words = words[: words.index("--group")] if "--group" in words else words
    same = fields_with(Role.OPERATIONAL, Role.TOLERANCE, Role.DISPLAY)
    return shlex.join(word for word in words if not is_in(word.partition("=")[0], same))


def _places(run: Path, result: Result) -> Iterator[Path]:
    """The folders that could hold a result, by preference."""
    usual = f"{result.split}-{result.protocol}"
    folder = result.data.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    elsewhere = "-".join([usual, *([folder] if folder else []), result.data_fingerprint[:_HASH]])
    names = [elsewhere] if result.own_data is False else [usual, elsewhere]
    if result.variant:
        names = [f"{name}-{_hash(result.variant)}" for name in names]
    for name in names:
        yield run / EVALUATIONS / portable(name)
    # Different names can become the same on a file system that allows fewer of them.
    yield run / EVALUATIONS / portable(f"{names[-1]}-{_hash(' '.join(question(result)))}")


def _is_for(folder: Path, result: Result) -> bool:
    """Whether a folder is free, damaged or answers the same question."""
    earlier = earlier_result(folder)
    return earlier is None or question(earlier) == question(result)


def _hash(text: str) -> str:
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))[:_HASH]
