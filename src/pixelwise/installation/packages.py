"""The packages that Pixelwise needs and may use: versions, what is missing, requirements that are not met.

Everything is read from the metadata of what is installed; nothing is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

OURS = "pixelwise"
DEVELOPMENT = ("dev", "benchmark")
"""Extras for those who change or compare Pixelwise."""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package that Pixelwise asks for.

    Attributes:
        name: Name of the distribution.
        version: Installed version; None if it is not installed.
        wanted: Versions that are accepted, such as `>=2.10`; empty if all are.
        fits: Whether the installed version is one of them; False if it is not installed.
    """

    name: str
    version: str | None
    wanted: str
    fits: bool


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """What `pip install` adds if the name of an extra is asked for.

    Attributes:
        name: Name of the extra.
        packages: Its packages.
    """

    name: str
    packages: tuple[Package, ...]

    @property
    def is_complete(self) -> bool:
        """Whether everything is installed in a version that fits."""
        return all(one.fits for one in self.packages)


class Unmet(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement that is not met.

    Attributes:
        by: Package that requires it.
        requirement: What it requires, such as `torch>=2.10`.
        name: Name of the required package.
        version: Installed version; None if it is not installed.
    """

    by: str
    requirement: str
    name: str
    version: str | None


def installed(name: str) -> str | None:
    """The installed version of a distribution; None if it is not installed or its metadata is damaged."""
    try:
        found: str | None = distribution(name).version
    except PackageNotFoundError:
        return None
    return found


def installed_names() -> set[str]:
    """Normalised names of all distributions that are installed."""
    return {canonicalize_name(one.metadata["Name"] or "") for one in distributions()}


def needed() -> tuple[Package, ...]:
    """The packages that Pixelwise cannot do without; empty if it runs from a folder without being installed."""
    return tuple(_package(one) for one in _requirements(OURS) if _applies(one))


def extras() -> tuple[Extra, ...]:
    """The extras for users with their packages, in alphabetical order."""
    try:
        names = distribution(OURS).metadata.get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return ()
    return tuple(
        Extra(name=name, packages=tuple(map(_package, _of_extra(name, _requirements(OURS)))))
        for name in sorted(names)
        if name not in DEVELOPMENT
    )


def unmet() -> tuple[Unmet, ...]:
    """Requirements that are not met, of Pixelwise, of what it needs, of what that needs, and so on."""
    pending, seen, found = [OURS], {OURS}, []
    while pending:
        by = pending.pop(0)
        for one in _requirements(by):
            if not _applies(one):
                continue
            version = installed(one.name)
            if not _fits(one, version):
                found.append(Unmet(by=by, requirement=f"{one.name}{one.specifier}", name=one.name, version=version))
            name = canonicalize_name(one.name)
            if version is not None and name not in seen:
                seen.add(name)
                pending.append(name)
    return tuple(found)


def cuda_of(package: str) -> str | None:
    """CUDA version that the wheel of `torch` or `torchvision` was built for, such as `12.8`; None for the CPU alone.

    Args:
        package: Name of the distribution, which is also that of its module.
    """
    text = _version_file(package)
    named = re.search(r"^cuda\b[^=]*=\s*'([\d.]+)'", text, re.MULTILINE)
    if named is not None:
        return named[1]
    local = re.search(r"^__version__ = '[^'+]*\+cu(\d+)(\d)'", text, re.MULTILINE)
    return f"{local[1]}.{local[2]}" if local is not None else None


def rocm_of(package: str) -> str | None:
    """ROCm version that the wheel of `torch` was built for; None for another build."""
    named = re.search(r"^hip\b[^=]*=\s*'([\d.]+)", _version_file(package), re.MULTILINE)
    return named[1] if named is not None else None


def _version_file(package: str) -> str:
    """The text of `version.py`, in which these packages note what they were built for; empty if there is none."""
    try:
        return Path(str(distribution(package).locate_file(f"{package}/version.py"))).read_text("utf-8")
    except (PackageNotFoundError, OSError, UnicodeDecodeError):
        return ""


def _requirements(name: str) -> list[Requirement]:
    try:
        texts = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    return list(_parsed(texts))


def _parsed(texts: Iterable[str]) -> Iterator[Requirement]:
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:  # of an old package; pip ignores such lines, too
            continue


def _applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _of_extra(extra: str, asked: list[Requirement]) -> Iterator[Requirement]:
    """What an extra adds, and what the extras add that it brings."""
    for one in asked:
        if _applies(one) or not _applies(one, extra):
            continue
        if canonicalize_name(one.name) != OURS:
            yield one
        for brought in sorted(one.extras) if canonicalize_name(one.name) == OURS else ():
            yield from _of_extra(brought, asked)


def _package(requirement: Requirement) -> Package:
    version = installed(requirement.name)
    return Package(
        name=requirement.name,
        version=version,
        wanted=str(requirement.specifier),
        fits=_fits(requirement, version),
    )


def _fits(requirement: Requirement, version: str | None) -> bool:
    if version is None:
        return False
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True  # nobody can tell
