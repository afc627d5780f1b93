"""The files of ONNX Runtime Web: from npm's registry, once, or from a folder or an archive on this computer.

The version and the SHA-256 of every file are part of this package; whatever the files come from, others are refused.
"""

from __future__ import annotations

import os
import tarfile
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import SILENT, Observer
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.cache_kinds import WEB_RUNTIME
from pixelwise.storage.caches import building_entry, entry_path, intact_entry
from pixelwise.storage.downloads import download

REGISTRY = "https://registry.npmjs.org"
_SETTINGS = ("NPM_CONFIG_REGISTRY", "npm_config_registry")
_FOLDERS = ("", "dist", "package/dist", "node_modules/{package}/dist")


class Wanted(msgspec.Struct, frozen=True):
    """A file of the release.

    Attributes:
        size: Size in bytes.
        sha256: Hexadecimal SHA-256.
    """

    size: int
    sha256: str


class Release(msgspec.Struct, frozen=True):
    """The release that pages run on.

    Attributes:
        package: Name on npm.
        version: Its version.
        license: SPDX identifier.
        size: Size of its archive in bytes.
        sha256: SHA-256 of its archive.
        files: Names in the archive's folder `dist` -> what they must be.
    """

    package: str
    version: str
    license: str
    size: int
    sha256: str
    files: dict[str, Wanted]

    @property
    def name(self) -> str:
        """Name and version as npm writes them."""
        return f"{self.package}@{self.version}"

    @property
    def address(self) -> str:
        """Where the archive is: on npm's registry, or on the one that npm's settings name instead."""
        registry = next((os.environ[name] for name in _SETTINGS if os.environ.get(name)), REGISTRY)
        return f"{registry.rstrip('/')}/{self.package}/-/{self.package}-{self.version}.tgz"


def pinned() -> Release:
    """The release that this version of Pixelwise puts into pages."""
    text = files("pixelwise.deployment.web").joinpath("runtime.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Release)


def runtime_files(
    source: str | os.PathLike[str] | None = None, release: Release | None = None, observer: Observer = SILENT
) -> dict[str, bytes]:
    """The files of the release, checked.

    Args:
        source: A folder that holds the files, such as `node_modules/onnxruntime-web`, or an archive of the package as
            `npm pack` writes it; None: the cache folder, or else npm's registry.
        release: The release; None: the pinned one.
        observer: Receives the phase of a download.

    Returns:
        Name -> content.

    Raises:
        RecipeError: R240, `source` or a file in it is missing.
        DataError: D250, the registry cannot be reached; D251, a file is not that of the release.
    """
    release = release or pinned()
    if source is not None:
        return _given(Path(source), release)
    path = entry_path(WEB_RUNTIME, release.sha256[:24])
    if not intact_entry(path):
        observer.phase(f"downloading {release.name}")
        with building_entry(WEB_RUNTIME, path, needed_bytes=release.size * 2) as folder:
            archive = folder / "package.tgz"
            _fetch(release, archive)
            for name, content in _of_archive(archive, release).items():
                (folder / name).write_bytes(content)
            archive.unlink()
    return _checked(path, lambda name: (path / name).read_bytes(), release)


def _fetch(release: Release, archive: Path) -> None:
    try:
        download(release.address, archive, sha256=release.sha256, size=release.size, wait=_once)
    except DataError as error:
        if error.code == "D251":
            what = (
                f"{release.address}: the answer is not the archive of {release.name}, whose SHA-256 is {release.sha256}"
            )
            raise DataError("D251", what, _way_out(release)) from error
        raise DataError(
            error.code,
            error.message,
            f"on a computer with a network run `npm pack {release.name}`, and name the file that it writes as "
            "`runtime`; the variable NPM_CONFIG_REGISTRY names another registry",
        ) from error


def _once(seconds: float) -> None:
    """Do not wait between attempts: whoever exports a page looks on, and can call again."""


def _given(source: Path, release: Release) -> dict[str, bytes]:
    if source.is_file():
        return _of_archive(source, release)
    if not source.is_dir():
        raise _missing(source, "there is no such folder or file", release)

    def read(name: str) -> bytes:
        places = (source / folder.format(package=release.package) / name for folder in _FOLDERS)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise _missing(source, f"{name} is not in it", release)
        return found.read_bytes()

    return _checked(source, read, release)


def _of_archive(archive: Path, release: Release) -> dict[str, bytes]:
    try:
        with tarfile.open(archive) as opened:
            return _checked(archive, lambda name: _member(opened, archive, name, release), release)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            "D251", f"{printable(archive)}: not a readable archive of {release.name}: {error}", _way_out(release)
        ) from error


def _member(opened: tarfile.TarFile, archive: Path, name: str, release: Release) -> bytes:
    try:
        found: Any = opened.extractfile(f"package/dist/{name}")
    except KeyError:
        found = None
    if found is None:
        raise _missing(archive, f"package/dist/{name} is not in it", release)
    # One byte more than expected is enough to be refused; a damaged size fills no memory.
    return found.read(release.files[name].size + 1)


def _checked(where: Path, read: Callable[[str], bytes], release: Release) -> dict[str, bytes]:
    found = {}
    for name, wanted in release.files.items():
        content = read(name)
        if (sha256 := sha256_bytes(content)) != wanted.sha256:
            raise DataError(
                "D251",
                f"{printable(where)}: {name} is not that of {release.name}: its SHA-256 is {sha256}, expected "
                f"{wanted.sha256}",
                _way_out(release),
            )
        found[name] = content
    return found


def _missing(source: Path, what: str, release: Release) -> RecipeError:
    return RecipeError("R240", f"{printable(source)}: {what}; expected the files of {release.name}", _way_out(release))


def _way_out(release: Release) -> str:
    return f"run `npm pack {release.name}` and name the file that it writes as `runtime`, or leave `runtime` out"
