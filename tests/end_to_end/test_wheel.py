"""The wheel and the source archive, installed where the source tree is not in sight, as the README uses them."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import pixelwise

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[2]


def done(*command: object, cwd: Path) -> str:
    """The output of a command that has to succeed, in an environment that knows nothing of this clone."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        list(map(str, command)), cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=900
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def committed(*below: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", *below], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, made from the source archive, made from the files of the last commit and what changed since."""
    tree, dist = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in committed():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    done(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, tree, cwd=dist)
    return dist


def test_both_can_be_uploaded(dist: Path):
    done(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir(), cwd=dist)


def test_they_hold_the_files_of_the_tree_and_no_others(dist: Path):
    (wheel,) = dist.glob("*.whl")
    (archive,) = dist.glob("*.tar.gz")
    expected = {name.removeprefix("src/") for name in committed("src/pixelwise")} | {"pixelwise/errors.md"}
    info = f"pixelwise-{pixelwise.__version__}.dist-info/"
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert {name for name in names if not name.startswith(info)} == expected
    licences = {name.removeprefix(info + "licenses/") for name in names if name.startswith(info + "licenses/")}
    assert licences == {"LICENSE", "NOTICE.md"} | {name for name in committed("src") if name.endswith(".LICENSE.txt")}
    with tarfile.open(archive) as opened:
        packed = {name.partition("/")[2] for name in opened.getnames() if not opened.getmember(name).isdir()}
    others = {"LICENSE", "NOTICE.md", "README.md", "CHANGELOG.md", "CITATION.cff", "MANIFEST.in", "docs/errors.md"}
    made = {"PKG-INFO", "setup.cfg"} | {name for name in packed if ".egg-info/" in name}
    assert packed - made == committed("src/pixelwise") | others | {"pyproject.toml", "setup.py"}


def test_the_wheel_works_installed_alone(dist: Path, tmp_path: Path):
    (wheel,) = dist.glob("*.whl")
    done(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    if not python.exists():
        python = tmp_path / "venv" / "Scripts" / "python.exe"
    (site,) = {
        Path(line)
        for line in done(python, "-c", "import site; print(site.getsitepackages()[-1])", cwd=tmp_path).split()
    }
    done(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    # The packages of this environment, without what its own .pth files add: the source tree of a clone.
    packages = {str(Path(module.__file__ or "").parents[1]) for module in map(__import__, ("numpy", "torch", "onnx"))}
    (site / "packages.pth").write_text("\n".join(sorted(packages)), "utf-8")
    found = done("bash", ROOT / ".ci" / "try_wheel", python.parent, cwd=tmp_path)
    assert found.splitlines()[0] == pixelwise.__version__
    assert found.splitlines()[-1] == "works, installed alone"
