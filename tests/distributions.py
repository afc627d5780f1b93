"""Installed distributions of strangers, as folders that `sys.path` can name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "plugin"


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


def install_example(site: Path) -> Path:
    """Let pip install the example plug-in of the repository into a folder that `sys.path` can name.

    Args:
        site: The folder.
    """
    # A copy, because building leaves files beside the source.
    source = site.with_name(f"{site.name}-source")
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    arguments = ("install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--target", site, source)
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, capture_output=True, timeout=120)
    return site
