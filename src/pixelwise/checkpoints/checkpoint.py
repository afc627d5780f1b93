"""Checkpoints of a run: written atomically and verified on reading.

A checkpoint is a folder `checkpoints/step-00001200/` with safetensors files, `state.json` and
`manifest.json`, which holds the SHA-256 of every other file and is written last. The folder gets
its final name only when everything in it is on disk. A checkpoint that has no manifest or differs
from it is damaged and is skipped: the newest *valid* checkpoint is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.observer import Warn
from pixelwise.storage import building_folder, json_text, printable, sha256_bytes, sha256_file, write_bytes, write_text
from pixelwise.storage.atomic import remove_folder
from pixelwise.storage.documents import DocumentError, is_regular, read_json, reading
from pixelwise.storage.names import is_plain_name

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST = "manifest.json"
STATE = "state.json"
Kind = TypeVar("Kind")


class FileRecord(msgspec.Struct, frozen=True):
    """Expected hash and size of one file of a checkpoint."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `manifest.json`, the last file written to a checkpoint.

    Attributes:
        format: Version of the layout; 1.
        step: Number of optimizer steps completed.
        miou: mIoU of the evaluation at exactly this step (0..1); None if there was none.
        files: File name -> expected hash and size.
    """

    format: int = 1
    step: int
    miou: float | None
    files: dict[str, FileRecord]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A valid checkpoint on disk."""

    path: Path
    manifest: Manifest

    @property
    def step(self) -> int:
        """Number of optimizer steps completed when the checkpoint was written."""
        return self.manifest.step

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of `{name}.safetensors`, on the CPU.

        Raises:
            CheckpointError: K410, the file is not a safetensors file; K411, the checkpoint has no such file.
        """
        import safetensors.torch  # here, so that which checkpoints a run has can be told without PyTorch

        file = f"{name}.safetensors"
        if file not in self.manifest.files:
            raise CheckpointError(
                "K411",
                f"{printable(self.path)} has no {file}; it holds {', '.join(self.manifest.files)}",
                "the run was probably started with another recipe",
            )
        try:
            with reading(self.path / file):
                return safetensors.torch.load_file(self.path / file)
        except DocumentError as error:
            raise damaged(self.path, f"{file} is not a safetensors file: {error.reason}") from error

    def has(self, name: str) -> bool:
        """Whether the checkpoint contains `{name}.safetensors`."""
        return f"{name}.safetensors" in self.manifest.files

    def state(self, kind: type[Kind] = dict[str, Any]) -> Kind:
        """The content of `state.json`.

        Args:
            kind: Type of the content, as msgspec describes types.

        Raises:
            CheckpointError: K410, the file cannot be read or holds something else.
        """
        try:
            return read_json(self.path / STATE, kind)
        except DocumentError as error:
            raise damaged(self.path, f"{STATE} cannot be read: {error.reason}") from error

    def sha256(self, name: str) -> str:
        """SHA-256 of `{name}.safetensors`: the identity of the weights in it."""
        return self.manifest.files[f"{name}.safetensors"].sha256


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    miou: float | None,
    metadata: Mapping[str, Any],
) -> Checkpoint:
    """Write `folder/step-{step:08d}` atomically.

    Args:
        folder: The run's `checkpoints/`.
        step: Number of optimizer steps completed.
        tensors: File name without suffix -> named tensors.
        state: Content of `state.json`; JSON types only.
        miou: mIoU of the evaluation at this step (0..1), if there was one.
        metadata: Stored in the header of each safetensors file, as JSON under the key `pixelwise`.

    Raises:
        ResourceError: S601, the disk is full; nothing is left behind and older checkpoints stay.
    """
    import safetensors.torch

    final = folder / f"step-{step:08d}"
    # A checkpoint of the same step, saved before its evaluation, may already exist.
    with building_folder(final, existing="replace") as building:
        # One entry only: safetensors writes several in random order, and equal weights should give identical files.
        header = {"pixelwise": msgspec.json.encode(metadata, order="sorted").decode()}
        contents = {
            f"{name}.safetensors": safetensors.torch.save(
                {key: tensor.detach().contiguous() for key, tensor in named.items()}, header
            )
            for name, named in tensors.items()
        }
        contents[STATE] = json_text(state).encode()
        files = {name: FileRecord(sha256_bytes(data), len(data)) for name, data in contents.items()}
        for name, data in contents.items():
            write_bytes(building / name, data)
        manifest = Manifest(step=step, miou=miou, files=files)
        write_text(building / MANIFEST, json_text(manifest))
    return Checkpoint(path=final, manifest=manifest)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open one checkpoint and verify every file against the manifest.

    Raises:
        CheckpointError: K410, a file is missing or differs; the message names it, with both sizes or hashes.
    """
    manifest = _read_manifest(path)
    for name, record in manifest.files.items():
        file = path / name
        # A name read from the manifest must not lead out of the folder.
        if not is_plain_name(name):
            raise damaged(path, f"its manifest names '{printable(name)}', which is not a plain file name")
        if not is_regular(file):
            raise damaged(path, f"{name} is missing")
        if (size := file.stat().st_size) != record.bytes:
            raise damaged(path, f"{name} has {size} bytes, expected {record.bytes}")
        if (found := sha256_file(file)) != record.sha256:
            raise damaged(path, f"{name} has SHA-256 {found[:12]}..., expected {record.sha256[:12]}...")
    return Checkpoint(path=path, manifest=manifest)


def list_checkpoints(folder: Path) -> list[tuple[Path, Manifest]]:
    """Checkpoints with a readable manifest, oldest first; their files are not verified here."""
    found = []
    for path in sorted(folder.glob("step-*")) if folder.is_dir() else []:
        try:
            found.append((path, _read_manifest(path)))
        except CheckpointError:
            continue
    return sorted(found, key=lambda item: item[1].step)


def newest_checkpoint(folder: Path, warn: Warn | None = None) -> Checkpoint | None:
    """The newest valid checkpoint in a run's `checkpoints/`, or None.

    Args:
        folder: The run's `checkpoints/`.
        warn: Receives a W401 for every damaged checkpoint that is skipped.
    """
    paths = sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []
    return _first_valid(paths, warn)


def best_checkpoint(folder: Path, warn: Warn | None = None) -> Checkpoint | None:
    """The valid checkpoint with the highest mIoU (the earliest of equals), or None."""
    scored = [(path, manifest) for path, manifest in list_checkpoints(folder) if manifest.miou is not None]
    scored.sort(key=lambda item: (-(item[1].miou or 0.0), item[1].step))
    return _first_valid([path for path, _ in scored], warn)


def remove_old_checkpoints(folder: Path, keep: int) -> None:
    """Delete all but the `keep` newest checkpoints and the best one."""
    listed = list_checkpoints(folder)
    kept = {path for path, _ in listed[-keep:]}
    scored = [(manifest.miou, -manifest.step, path) for path, manifest in listed if manifest.miou is not None]
    if scored:
        kept.add(max(scored)[2])
    for path, _ in listed:
        if path not in kept:
            # Windows refuses to remove a checkpoint that another process is reading; a later call removes it.
            with contextlib.suppress(PermissionError):
                remove_folder(path)


def remove_later_checkpoints(folder: Path, step: int) -> None:
    """Delete checkpoints of steps after `step`, valid or not: a run that continues from `step` writes them again.

    A damaged one would otherwise count among the newest checkpoints that are kept.
    """
    for path in sorted(folder.glob("step-*")) if folder.is_dir() else []:
        if path.name > f"step-{step:08d}":
            remove_folder(path)


def _first_valid(paths: list[Path], warn: Warn | None) -> Checkpoint | None:
    damaged: list[CheckpointError] = []
    for path in paths:
        try:
            checkpoint = open_checkpoint(path)
        except CheckpointError as error:
            damaged.append(error)
            continue
        if warn:
            for error in damaged:
                warn("W401", f"{error.message}; using step {checkpoint.step} instead")
        return checkpoint
    if damaged:
        raise CheckpointError(
            "K412",
            f"none of {len(damaged)} checkpoints is intact; the newest: {damaged[0].message}",
            "train again, or restore the folder from a backup",
        )
    return None


def _read_manifest(path: Path) -> Manifest:
    try:
        manifest = read_json(path / MANIFEST, Manifest)
    except DocumentError as error:
        if error.missing:
            raise damaged(path, f"{MANIFEST} is missing, so the checkpoint was never completed") from None
        raise damaged(path, f"{MANIFEST} cannot be read: {error.reason}") from error
    if manifest.format != 1:
        raise damaged(path, f"its format is {manifest.format}; this version of pixelwise reads format 1")
    return manifest


def damaged(path: Path, reason: str) -> CheckpointError:
    """Error K410 for a checkpoint that cannot be used."""
    return CheckpointError(
        "K410",
        f"checkpoint {printable(path)} is damaged: {reason}",
        "an older checkpoint of the run may be intact",
    )
