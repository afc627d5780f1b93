"""Which files hold the weights that a path means: one file, a folder, or weights in several files with an index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.storage import printable
from pixelwise.storage.documents import DocumentError, read_json
from pixelwise.storage.names import is_plain_name, some

INDEX = ".index.json"
"""End of the names of files that list which part of the weights holds which tensor."""
USUAL = ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""Names of the weights file in the folders that the Hugging Face libraries write, the preferred one first."""
ENDINGS = (
    ".safetensors",
    ".pth",
    ".pt",
    ".bin",
    ".ckpt",
    ".pkl",
    ".npz",
    ".tar",
    ".pth.tar",
    ".pt.tar",
    ".t7",
    ".weights",
)
"""Endings of weights files, by which those in a folder are listed."""
NOT_WEIGHTS = re.compile(r"(optimizer|scheduler|scaler|training_args|rng_state|random_states|trainer_state|tokenizer)")
"""Files that training programs write beside the weights."""
_PART = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<ending>\.\w+)")


class Place(NamedTuple):
    """Where weights lie.

    Attributes:
        files: The files that hold them; several if they are in parts.
        folder: The folder that was given, or that the parts lie in; None for a single file.
        notes: What was chosen.
    """

    files: tuple[Path, ...]
    folder: Path | None = None
    notes: tuple[str, ...] = ()


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def locate(path: Path) -> Place:
    """Find the files that hold the weights.

    Args:
        path: A weights file, a folder, an index of parts or one of the parts.

    Raises:
        CheckpointError: K405, there is no such file or folder; K483, a part is missing; K484, the folder holds several
            weights files; K485, it holds none.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise CheckpointError("K405", f"{printable(path)}: there is no such file or folder", "check the path")
    if path.name.endswith(INDEX):
        return _by_index(path)
    part = _PART.fullmatch(path.name)
    return _by_part(path, part) if part is not None else Place((path,))


def _by_part(path: Path, part: re.Match[str]) -> Place:
    indexes = sorted(path.parent.glob(f"*{INDEX}"))
    for index in indexes:
        if path.name in _parts_of(index):
            return _by_index(index)
    count = int(part["count"])
    names = [f"{part['name']}-{number:05}-of-{count:05}{part['ending']}" for number in range(1, count + 1)]
    return _parts(path.parent, names, path.name)


def _by_index(index: Path) -> Place:
    return _parts(index.parent, sorted(_parts_of(index)), index.name)


def _parts(folder: Path, names: list[str], named_by: str) -> Place:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            "K483",
            f"{printable(folder)}: of the weights' {len(names)} parts {len(missing)} are missing: "
            f"{', '.join(missing[:3])} (named by {printable(named_by)})",
            "copy all parts into one folder",
        )
    note = f"the weights were joined from {len(names)} parts" if len(names) > 1 else f"read {names[0]}"
    return Place(tuple(folder / name for name in names), folder, (note,))


def _parts_of(index: Path) -> set[str]:
    """Names of the parts that an index lists.

    Raises:
        CheckpointError: K405, it is no such index, or names files of other folders.
    """
    try:
        names = set(read_json(index, _Index).weight_map.values())
    except DocumentError:
        names = set()
    if not names or not all(map(is_plain_name, names)):
        raise CheckpointError(
            "K405",
            f"{printable(index)}: it has no `weight_map` from tensors to files beside it",
            "give one of the weights files, or copy the index again",
        )
    return names


def _in_folder(folder: Path) -> Place:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    indexes = [path for path in files if path.name.endswith(INDEX)]
    for usual in USUAL:
        if (folder / usual).is_file():
            return Place((folder / usual,), folder, (f"read {usual}",))
        if folder / f"{usual}{INDEX}" in indexes:
            return _by_index(folder / f"{usual}{INDEX}")
    if len(indexes) == 1:
        return _by_index(indexes[0])
    found = [path for path in files if path.name.endswith(ENDINGS) and not NOT_WEIGHTS.search(path.name)]
    parts = {part["name"]: path for path in found if (part := _PART.fullmatch(path.name)) is not None}
    whole = [path for path in found if _PART.fullmatch(path.name) is None]
    if len(whole) + len(parts) == 1:
        return locate((whole or list(parts.values()))[0])._replace(folder=folder)
    if found:
        names = [*(printable(path.name) for path in whole), *(f"{printable(name)}-*" for name in parts)]
        raise CheckpointError(
            "K484",
            f"{printable(folder)} holds {len(names)} weights files: {some(names)}; expected one",
            "give the path of one of them",
        )
    raise _without_weights(folder, files)


def _without_weights(folder: Path, files: list[Path]) -> CheckpointError:
    """The error for a folder without a readable weights file, saying what lies there."""
    below = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name.endswith(ENDINGS) and path.parent != folder
    )
    names = {path.name for path in files}
    if "saved_model.pb" in names or any(name.endswith(".index") for name in names):
        found, help = "a TensorFlow model", "save the network's weights from a PyTorch program instead"
    elif below:
        listed = ", ".join(str(path.relative_to(folder)) for path in below[:6])
        found, help = f"weights files in its folders: {listed}", "give the path of one of them"
    else:
        listed = ", ".join(path.name for path in files[:6])
        found, help = (listed or "nothing"), f"give the weights file; its name usually ends in {', '.join(ENDINGS[:5])}"
    return CheckpointError("K485", f"{printable(folder)} holds no weights file, but {found}", help)
