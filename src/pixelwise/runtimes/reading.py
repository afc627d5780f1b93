"""Finding and reading `model.toml`: whether a path is an artefact, and whether its files are what was written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.runtimes.sidecar import DESCRIPTION, FORMAT, NAME, Sidecar
from pixelwise.runtimes.targets import TARGETS, Target, find_target
from pixelwise.storage import printable, sha256_file


def is_artefact(path: Path) -> bool:
    """Whether that is an exported artefact: its folder, or the file of it that a runtime opens."""
    if path.is_dir():
        return (path / DESCRIPTION).is_file()
    # Other packages add endings of their own; what they write has its description beside it as well.
    known = any(path.suffix == target.suffixes[0] for target in TARGETS.own().values())
    return known or (path.name != DESCRIPTION and path.stem == NAME and path.with_name(DESCRIPTION).is_file())


def holds_artefact(folder: Path) -> bool:
    """Whether a folder has a file that an artefact of any target would have."""
    names = {DESCRIPTION} | {NAME + suffix for target in TARGETS.own().values() for suffix in target.suffixes}
    return any((folder / name).exists() for name in names)


def read_sidecar(artefact: Path) -> tuple[Sidecar, Path]:
    """What stands beside an artefact, after every one of its files was compared with its SHA-256.

    Args:
        artefact: The folder, its `model.toml`, or the file that a runtime opens.

    Returns:
        The content, and the file that the runtime opens.

    Raises:
        CheckpointError: K462, something is missing or differs; K469, nothing that is installed runs it.
    """
    path = artefact / DESCRIPTION if artefact.is_dir() else artefact.with_suffix(".toml")
    if not artefact.exists():
        raise damaged(artefact, "there is no such file")
    sidecar = _parsed(artefact, path)
    suffix = _target_of(sidecar, artefact).suffixes[0]
    for name, expected in sidecar.files.items():
        file = path.parent / name
        # A name from a file must not lead out of the folder.
        if Path(name).name != name:
            raise damaged(artefact, f"{path.name} names '{printable(Path(name))}', which is not a plain file name")
        if not file.is_file():
            raise damaged(artefact, f"{name} is missing")
        if (found := sha256_file(file)) != expected:
            raise damaged(artefact, f"{name} has SHA-256 {found[:12]}..., expected {expected[:12]}...")
    opened = [name for name in sidecar.files if name.endswith(suffix)]
    if not opened:
        raise damaged(artefact, f"{path.name} names no {suffix} file")
    if artefact.is_file() and artefact != path and artefact.name not in sidecar.files:
        raise damaged(artefact, f"{path.name} beside it is of {', '.join(sidecar.files)}")
    return sidecar, path.parent / opened[0]


def _parsed(artefact: Path, path: Path) -> Sidecar:
    try:
        sidecar = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Sidecar)
    except FileNotFoundError:
        raise damaged(artefact, f"{path.name} is not beside it, which says what goes in and what comes out") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.MsgspecError) as error:
        raise damaged(artefact, f"{path.name} cannot be read: {error}") from error
    if sidecar.format != FORMAT:
        raise damaged(
            artefact, f"{path.name} has format {sidecar.format}, this version of pixelwise reads format {FORMAT}"
        )
    return sidecar


def _target_of(sidecar: Sidecar, artefact: Path) -> Target:
    try:
        return find_target(sidecar.runtime)
    except RecipeError as error:
        package = (sidecar.plugin or "").partition(" ")[0]
        known = f"which {sidecar.plugin} adds" if package else "which this version of pixelwise does not know"
        raise CheckpointError(
            "K469",
            f"{printable(artefact)} was exported for '{sidecar.runtime}', {known}",
            f"install it: pip install '{package}'" if package else f"update pixelwise, or export again; {error.help}",
        ) from error


def damaged(artefact: Path, reason: str) -> CheckpointError:
    """The error for an artefact that is not what it was when it was written."""
    return CheckpointError(
        "K462", f"{printable(artefact)} cannot be used: {reason}", "export it again, or copy all of its files again"
    )
