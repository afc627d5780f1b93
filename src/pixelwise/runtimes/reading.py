"""Reading of `model.toml`: detection of artefacts and verification of their files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.runtimes.sidecar import DESCRIPTION, FORMAT, NAME, Sidecar
from pixelwise.runtimes.targets import TARGETS, Target, find_target
from pixelwise.storage import printable, sha256_file
from pixelwise.storage.documents import DocumentError, is_regular, read_toml, reading


def is_artefact(path: Path) -> bool:
    """Whether a path is an exported artefact: its folder, or its file that a runtime opens."""
    if path.is_dir():
        return (path / DESCRIPTION).is_file()
    # Other packages add suffixes of their own; their artefacts also have a description beside them.
    known = any(path.suffix == target.suffixes[0] for target in TARGETS.own().values())
    return known or (path.name != DESCRIPTION and path.stem == NAME and path.with_name(DESCRIPTION).is_file())


def holds_artefact(folder: Path) -> bool:
    """Whether a folder contains a file that an artefact of any target would have."""
    names = {DESCRIPTION} | {NAME + suffix for target in TARGETS.own().values() for suffix in target.suffixes}
    return any((folder / name).exists() for name in names)


def read_sidecar(artefact: Path) -> tuple[Sidecar, Path]:
    """Read an artefact's description and verify the SHA-256 of each of its files.

    Args:
        artefact: The artefact's folder, its `model.toml`, or its file that a runtime opens.

    Returns:
        The description, and the file that the runtime opens.

    Raises:
        CheckpointError: K462, a file is missing or differs; K469, no installed package has the artefact's target.
    """
    path = artefact / DESCRIPTION if artefact.is_dir() else artefact.with_suffix(".toml")
    if not artefact.exists():
        raise damaged(artefact, "there is no such file")
    sidecar = _parsed(artefact, path)
    suffix = _target_of(sidecar, artefact).suffixes[0]
    for name, expected in sidecar.files.items():
        file = path.parent / name
        # A name read from `model.toml` must not lead out of the folder.
        if Path(name).name != name:
            raise damaged(artefact, f"{path.name} names '{printable(Path(name))}', which is not a plain file name")
        if not is_regular(file):
            raise damaged(artefact, f"{name} is missing")
        if (found := sha256_file(file)) != expected:
            raise damaged(artefact, f"{name} has SHA-256 {found[:12]}..., expected {expected[:12]}...")
    opened = [name for name in sidecar.files if name.endswith(suffix)]
    if not opened:
        raise damaged(artefact, f"{path.name} names no {suffix} file")
    if artefact.is_file() and artefact != path and artefact.name not in sidecar.files:
        raise damaged(artefact, f"{path.name} beside it describes {', '.join(sidecar.files)}")
    return sidecar, path.parent / opened[0]


def _parsed(artefact: Path, path: Path) -> Sidecar:
    try:
        with reading(path):
            sidecar = msgspec.convert(read_toml(path), Sidecar)
    except DocumentError as error:
        if error.missing:
            raise damaged(artefact, f"{path.name}, which describes its input and output, is not beside it") from None
        raise damaged(artefact, f"{path.name} cannot be read: {error.reason}") from error
    if sidecar.format != FORMAT:
        raise damaged(
            artefact, f"{path.name} has format {sidecar.format}; this version of pixelwise reads format {FORMAT}"
        )
    return sidecar


def _target_of(sidecar: Sidecar, artefact: Path) -> Target:
    try:
        return find_target(sidecar.runtime)
    except RecipeError as error:
        package = (sidecar.plugin or "").partition(" ")[0]
        known = f"a target of {sidecar.plugin}" if package else "which this version of pixelwise does not know"
        raise CheckpointError(
            "K469",
            f"{printable(artefact)} was exported for '{sidecar.runtime}', {known}",
            f"install it: pip install '{package}'" if package else f"update pixelwise, or export again; {error.help}",
        ) from error


def damaged(artefact: Path, reason: str) -> CheckpointError:
    """Error K462 for an artefact with a missing or changed file."""
    return CheckpointError(
        "K462", f"{printable(artefact)} cannot be used: {reason}", "export it again, or copy all of its files again"
    )
