"""What a repository of the hub holds: the files that a run or an artefact may consist of, and their description.

`pixelwise.json` lists every file with its size and SHA-256. A file is fetched only if it is listed there and its name
is one of those below: none of them is a pickle, and none leads out of the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from pixelwise.checkpoints.checkpoint import MANIFEST, STATE, FileRecord
from pixelwise.errors import CheckpointError
from pixelwise.records.data_facts import DATA
from pixelwise.records.environment import ENVIRONMENT
from pixelwise.records.evaluations import EVALUATIONS, SAMPLES
from pixelwise.records.history import HISTORY
from pixelwise.records.result import PER_CLASS, RESULT
from pixelwise.records.run_folder import CHECKPOINTS, PROVENANCE, RECIPE
from pixelwise.storage.documents import DocumentError, is_regular, read_json
from pixelwise.storage.hashing import sha256_file
from pixelwise.storage.names import is_plain_name, printable, some

DESCRIPTION = "pixelwise.json"
"""Name of the file that describes what a repository holds."""
CARD = "README.md"
"""Name of the model card."""
SIDECAR = "model.toml"
"""Name of the description of an artefact."""
Kind = Literal["run", "artefact"]
PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pt2", ".pth")
"""Endings of files that run code of their maker when they are opened, or may be such files."""
_MOST_FILES = 2000
_STEP = r"step-\d{8}"
_ALLOWED: dict[Kind, re.Pattern[str]] = {
    "run": re.compile(
        "|".join(
            (
                *map(re.escape, (RECIPE, ENVIRONMENT, DATA, HISTORY, PROVENANCE)),
                rf"{CHECKPOINTS}/{_STEP}/(?:(?:model|ema)\.safetensors|{re.escape(MANIFEST)}|{re.escape(STATE)})",
                rf"{EVALUATIONS}/[^/]+/(?:{re.escape(RESULT)}|{re.escape(PER_CLASS)})",
            )
        )
    ),
    # `model.bin` is what OpenVINO calls its weights: plain numbers, which no reader of pickles ever sees.
    "artefact": re.compile(
        rf"{re.escape(SIDECAR)}|model\.(?:onnx|onnx\.data|xml|bin|pte|tflite)"
        r"|model\.mlpackage/(?:Manifest\.json|Data/com\.apple\.CoreML/(?:model\.mlmodel|weights/weight\.bin))"
    ),
}
_SHOWN = re.compile(rf"{SAMPLES}/[\w.-]+\.(?:jpg|png|webp)")


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `pixelwise.json`.

    Attributes:
        format: Version of this layout; 1.
        kind: `run`, or `artefact` for an exported network.
        recipe: Name of the recipe.
        pixelwise: Version of Pixelwise that published it.
        files: Path of every file of the run -> its SHA-256 and its size in bytes.
    """

    format: int = 1
    kind: Kind
    recipe: str = ""
    pixelwise: str = ""
    files: dict[str, FileRecord]


def is_ours(path: str) -> bool:
    """Whether a file of a repository is one that `push` may have put there, and so may replace."""
    return path in (DESCRIPTION, CARD) or _SHOWN.fullmatch(path) is not None or _is_allowed(path, tuple(_ALLOWED))


def read_description(file: Path, where: str) -> Description:
    """Read `pixelwise.json` and refuse what a repository of the hub must not hold.

    Args:
        file: The fetched file.
        where: Address of the repository, for messages.

    Raises:
        CheckpointError: K495, it is no description, or of a later version of Pixelwise; K496, it lists a file whose
            path leads out of the folder or that is not among those of a run.
    """
    try:
        described = read_json(file, Description)
    except DocumentError as error:
        raise CheckpointError(
            "K495",
            f"{where} is no run of Pixelwise: its {DESCRIPTION} cannot be read: {error.reason}",
            "ask its owner to publish it again with `pixelwise push`",
        ) from error
    if described.format != 1:
        raise CheckpointError(
            "K495",
            f"{where} was published in format {described.format}; this version of Pixelwise reads format 1",
            "pip install --upgrade pixelwise",
        )
    _refuse_names(described, where)
    return described


def refuse_differing(folder: Path, described: Description, where: str) -> None:
    """Compare fetched files with the sizes and hashes of their description.

    Args:
        folder: Folder that holds them.
        described: Their description.
        where: Address of the repository, for messages.

    Raises:
        CheckpointError: K496, a file is missing or differs.
    """
    for name, record in described.files.items():
        file = folder / name
        size = file.stat().st_size if is_regular(file) else None
        if size is None:
            raise refused(where, f"{printable(name)} is missing")
        if size != record.bytes:
            raise refused(where, f"{printable(name)} has {size} bytes, {DESCRIPTION} says {record.bytes}")
        if (found := sha256_file(file)) != record.sha256:
            raise refused(
                where, f"{printable(name)} has SHA-256 {found[:12]}..., {DESCRIPTION} says {record.sha256[:12]}..."
            )


def no_run(where: str, paths: Iterable[str]) -> CheckpointError:
    """The error for a repository without a description, which says what it holds instead.

    Args:
        where: Address of the repository.
        paths: Its files.
    """
    listed = list(paths)
    pickles = [path for path in listed if path.lower().endswith(PICKLES)]
    if pickles:
        return CheckpointError(
            "K495",
            f"{where} is no run of Pixelwise, and its weights are pickles ({some(list(map(printable, pickles)), 3)}), "
            "which run code of their maker when they are opened; nothing was downloaded",
            "for weights of another system that you trust, download the file yourself and use `pixelwise "
            "import-weights`, which reads it without running anything",
        )
    holds = some([printable(path) for path in listed], 3) or "no files"
    return CheckpointError(
        "K495",
        f"{where} is no run of Pixelwise: it has no {DESCRIPTION}; it holds {holds}",
        "name a repository that `pixelwise push` has filled",
    )


def refused(where: str, reason: str) -> CheckpointError:
    """The error K496 for files that are not what they should be."""
    return CheckpointError(
        "K496",
        f"{where} is refused: {reason}",
        "name an earlier revision (hub://OWNER/NAME@REVISION), or ask its owner to publish it again with `pixelwise "
        "push`; a damaged download is fetched again after its folder is removed from the cache of huggingface_hub",
    )


def _refuse_names(described: Description, where: str) -> None:
    if len(described.files) > _MOST_FILES:
        raise refused(where, f"{DESCRIPTION} lists {len(described.files)} files, more than {_MOST_FILES}")
    for name in described.files:
        if not all(map(is_plain_name, name.split("/"))):
            raise refused(where, f"{DESCRIPTION} lists '{printable(name)}', a path that leads out of the folder")
        if _is_allowed(name, (described.kind,)):
            continue
        if name.lower().endswith(PICKLES):
            raise refused(
                where,
                f"{DESCRIPTION} lists '{printable(name)}', which may be a pickle and run code of its maker; weights "
                "are read as safetensors alone",
            )
        raise refused(where, f"{DESCRIPTION} lists '{printable(name)}', which is no file of a published run")
    needed = RECIPE if described.kind == "run" else SIDECAR
    if needed not in described.files:
        raise refused(where, f"{DESCRIPTION} lists no {needed}")


def _is_allowed(name: str, kinds: tuple[Kind, ...]) -> bool:
    return any(_ALLOWED[kind].fullmatch(name) for kind in kinds)
