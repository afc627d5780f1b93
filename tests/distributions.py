"""Installed distributions of strangers, as folders that `sys.path` can name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def install(
    site: Path, package: str, entry_points: str, code: str = "", *, version: str = "1.2", metadata: bool = True
) -> Path:
    """What an installer leaves of a package with one module.

    Args:
        site: The folder that it is installed in.
        package: Name of the distribution; the module has the same name with underscores.
        entry_points: Content of `entry_points.txt`.
        code: Content of the module.
        version: Version of the distribution.
        metadata: Whether there is a `METADATA` file.
    """
    module = package.replace("-", "_")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    if metadata:
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text(entry_points, "utf-8")
    (site / f"{module}.py").write_text(code, "utf-8")
    return info


def python(*arguments: str, site: Path) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, which finds what is installed in `site`."""
    path = os.pathsep.join([str(site), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
