"""A folder of packages as `pip` leaves them: metadata and, for some, a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def add(
    site: Path, name: str, version: str, requires: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> None:
    """Install a package into a folder: its metadata and its files, by their paths."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {one}" for one in requires), ""]), "utf-8")
    for path, text in (files or {}).items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, "utf-8")


def torch_version(version: str, cuda: str | None) -> str:
    """The text of torch's `version.py`."""
    return f"from typing import Optional\n__version__ = '{version}'\ncuda: Optional[str] = {cuda!r}\nhip = None\n"
