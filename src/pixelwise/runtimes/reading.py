"""Reading of `model.toml`: detection of artefacts and verification of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.machine.files import is_link
from pixelwise.runtimes.sidecar import DESCRIPTION, NAME, ONLY_BESIDE, READABLE, Sidecar, from_metadata, reason_of
from pixelwise.runtimes.targets import TARGETS, Target, find_target
from pixelwise.storage import printable, sha256_file, sha256_folder
from pixelwise.storage.documents import DocumentError, is_regular, read_toml, reading
from pixelwise.storage.names import is_plain_name


def is_artefact(path: Path) -> bool:
    """Whether a path is an exported artefact: its folder, or its file (for some formats a folder) that is opened."""
    if path.is_dir() and not _is_package(path):
        return (path / DESCRIPTION).is_file()
    # Other packages add suffixes of their own; their artefacts also have a description beside them.
    known = any(path.suffix == target.suffixes[0] for target in TARGETS.own().values())
    return known or (path.name != DESCRIPTION and path.stem == NAME and path.with_name(DESCRIPTION).is_file())


def _is_package(path: Path) -> bool:
    """Whether a path is a folder that is all that an artefact's runtime opens, beside its description."""
    if not path.suffix or not path.is_dir() or (path / DESCRIPTION).is_file():
        return False
    # Other packages add suffixes of their own, as for files.
    known = any(path.suffix == target.suffixes[0] for target in TARGETS.own().values() if target.folder)
    return known or (path.stem == NAME and path.with_name(DESCRIPTION).is_file())


def holds_artefact(folder: Path) -> bool:
    """Whether a folder contains a file that an artefact of any target would have."""
    names = {DESCRIPTION} | {NAME + suffix for target in TARGETS.own().values() for suffix in target.suffixes}
    return any((folder / name).exists() for name in names)


def read_sidecar(artefact: Path) -> tuple[Sidecar, Path]:
    """Read an artefact's description and verify the SHA-256 of each of its files.

    Args:
        artefact: The artefact's folder, its `model.toml`, or its file that a runtime opens. That file is enough if it
            holds the description itself.

    Returns:
        The description, and the file that the runtime opens.

    Raises:
        CheckpointError: K462, a file is missing, differs or is a link; K469, no installed package has the artefact's
            target; K470, the file describes itself in another way than `model.toml`.
    """
    whole = artefact.is_dir() and not _is_package(artefact)
    path = artefact / DESCRIPTION if whole else artefact.with_suffix(".toml")
    if not artefact.exists():
        raise damaged(artefact, "there is no such file")
    if artefact.is_file() and not path.exists():
        return _alone(artefact, path.name), artefact
    plain = _read(artefact, path)
    sidecar = _parsed(artefact, plain, path.name)
    target = _target_of(sidecar, artefact)
    suffix = target.suffixes[0]
    opened = [name for name in sidecar.files if name.endswith(suffix)]
    for name, expected in sidecar.files.items():
        _refuse_outside(artefact, path, name, alone=name in opened[:1])
        file = path.parent / name
        if not (file.is_dir() if target.folder else is_regular(file)):
            raise damaged(artefact, f"{name} is missing")
        if target.folder and (link := _link_within(file)):
            raise damaged(artefact, f"{link} is a link to another file, and everything must be in the folder itself")
        if (found := sha256_of(file)) != expected:
            raise damaged(artefact, f"{name} has SHA-256 {found[:12]}..., expected {expected[:12]}...")
    if not opened:
        raise damaged(artefact, f"{path.name} names no {suffix} file")
    if not whole and artefact != path and artefact.name not in sidecar.files:
        raise damaged(artefact, f"{path.name} beside it describes {', '.join(sidecar.files)}")
    file = path.parent / opened[0]
    for other in target.suffixes[1:]:
        beside = file.with_suffix(other).name
        if beside not in sidecar.files:
            raise damaged(artefact, f"{path.name} does not list {beside}, which {target.name} reads too")
    _compare(artefact, plain, _embedded(file, target), path.name)
    return sidecar, file


def sha256_of(file: Path) -> str:
    """SHA-256 of a file of an artefact, which for some formats is a folder."""
    return sha256_folder(file) if file.is_dir() else sha256_file(file)


def size_of(file: Path) -> int:
    """Size in bytes of a file of an artefact, which for some formats is a folder."""
    return sum(one.stat().st_size for one in file.rglob("*") if one.is_file()) if file.is_dir() else file.stat().st_size


def _link_within(folder: Path) -> str:
    """The name of a link below a folder; empty if there is none."""
    return next((file.relative_to(folder.parent).as_posix() for file in folder.rglob("*") if is_link(file)), "")


def _refuse_outside(artefact: Path, path: Path, name: str, *, alone: bool) -> None:
    """Refuse a name that leads out of the folder, and a further file that is a link to another one.

    Weights that a graph reads from a file of somebody else's choice would come out in its predictions. The graph itself
    may be a link, as in caches of downloads: it is verified as it is read.
    """
    if not is_plain_name(name):
        raise damaged(artefact, f"{path.name} names '{printable(Path(name))}', which is not a plain file name")
    if not alone and is_link(path.parent / name):
        raise damaged(artefact, f"{name} is a link to another file, and the weights must be in the folder itself")


def _alone(file: Path, beside: str) -> Sidecar:
    """The description that a file holds itself."""
    plain: dict[str, Any] = {}
    target = next((one for one in TARGETS.own().values() if one.suffixes[0] == file.suffix), None)
    if target is not None:
        plain = _embedded(file, target)
    if target is None or not plain:
        raise damaged(
            file, f"{beside}, which describes its input and output, is not beside it, and the file has no description"
        )
    sidecar = _parsed(file, plain, "its metadata")
    if sidecar.runtime != target.name:
        raise damaged(file, f"its metadata describes a file for {printable(Path(sidecar.runtime))}")
    return msgspec.structs.replace(sidecar, files={file.name: sha256_file(file)})


def _embedded(file: Path, target: Target) -> dict[str, Any]:
    """The description in a file's own metadata; empty if there is none."""
    if target.embedded is None:
        return {}
    try:
        properties = target.embedded(file)
    except RecipeError:
        raise
    except Exception:  # not a file of this format: the runtime says so
        return {}
    try:
        return from_metadata(properties)
    except msgspec.DecodeError as error:
        raise damaged(file, f"its metadata cannot be read: {error}") from error


def _compare(artefact: Path, beside: dict[str, Any], inside: dict[str, Any], name: str) -> None:
    """Refuse a file whose own metadata and `model.toml` disagree.

    Raises:
        CheckpointError: K470; neither of them is more credible than the other.
    """
    known = {*Sidecar.__struct_fields__, *inside}.difference(ONLY_BESIDE)
    # Compared as JSON, which has no NaN.
    ours = {key: msgspec.json.decode(msgspec.json.encode(beside.get(key))) for key in known}
    different = sorted(key for key in known if inside and ours[key] != inside.get(key))
    if different:
        raise CheckpointError(
            "K470",
            f"{printable(artefact)}: {name} and the metadata of the file beside it disagree about "
            f"{', '.join(f'`{printable(Path(key))}`' for key in different[:3])}",
            f"copy both from the same export; to go by the file's own metadata, remove {name}",
        )


def _read(artefact: Path, path: Path) -> dict[str, Any]:
    try:
        with reading(path):
            return read_toml(path)
    except DocumentError as error:
        if error.missing:
            raise damaged(artefact, f"{path.name}, which describes its input and output, is not beside it") from None
        raise damaged(artefact, f"{path.name} cannot be read: {error.reason}") from error


def _parsed(artefact: Path, plain: dict[str, Any], name: str) -> Sidecar:
    version = plain.get("format")
    if isinstance(version, int) and version not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise damaged(artefact, f"{name} has format {version}; this version of pixelwise reads format {known}")
    try:
        sidecar = msgspec.convert(plain, Sidecar)
    except (msgspec.MsgspecError, RecipeError) as error:
        raise damaged(artefact, f"{name} cannot be read: {reason_of(error)}") from error
    if sidecar.format > 1 and (sidecar.inference is None or sidecar.scoring is None):
        raise damaged(artefact, f"{name} cannot be read: there is no `inference` or no `scoring`")
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
