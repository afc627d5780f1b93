"""A full disk under every verb that writes: exit 6 with the free space, no partial file, what was there stays.

The disk is a file size limit (RLIMIT_FSIZE), which fails like a full disk and works without privileges, and, with
`-m heavy`, a file system of a few kilobytes where one can be mounted.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.commands import Commands
from faults.test_kills import TABLE, files, has_begun, is_whole

from pixelwise.storage.atomic import TEMPORARY_PREFIX

SMALLEST = 2000
"""Limit in bytes below which the command's own output would not fit into its file."""
Begin = Callable[[str, Path], list[str]]


@pytest.fixture
def begin(tiny_data: Path, tiny_run: Path, linear_run: Path, tiny_recipe: Path) -> Begin:
    """Fills the output folder of a verb with what it begins with, and returns the arguments of the command line."""
    inputs = {"data": tiny_data, "run": tiny_run, "linear": linear_run, "recipe": tiny_recipe}

    def arguments(name: str, out: Path) -> list[str]:
        row = TABLE[name]
        if row.copied:
            shutil.copytree(inputs[row.copied], out, dirs_exist_ok=True)
        else:
            out.mkdir(exist_ok=True)
        return [word.format(**inputs, out=out) for word in row.arguments]

    return arguments


def contents(folder: Path) -> dict[Path, bytes]:
    """Files and their bytes, without the logs, to which a run that goes on appends."""
    return {path: path.read_bytes() for path in files(folder) if path.suffix != ".jsonl" and path.name != "log.csv"}


def check_failure(ended, out: Path, before: dict[Path, bytes]) -> None:
    assert ended.status == 6, ended.said
    assert "error[S601]" in ended.said or "error[S602]" in ended.said
    assert " MB free" in ended.said
    assert "help: " in ended.said
    assert "Traceback" not in ended.said
    assert list(out.rglob(f"{TEMPORARY_PREFIX}*")) == []
    after = contents(out)
    assert {path: after.get(path) for path in before if path.name not in UPDATED} == {
        path: content for path, content in before.items() if path.name not in UPDATED
    }
    for path in after:
        assert is_whole(path), path


UPDATED = ("environment.json", "recipe.toml", "problems.jsonl", "status.json", "pictures.json", "live.html")
"""Files of a run that are replaced as a whole when it is resumed."""


def fill(name: str, commands: Commands, begin: Begin, folder: Path, *, limits: int) -> None:
    whole = folder / "whole"
    arguments = begin(name, whole)
    old = contents(whole)
    done = commands.run(arguments)
    assert done.status == 0, done.said
    new = {path: content for path, content in contents(whole).items() if old.get(path) != content}
    sizes = sorted({len(content) for content in new.values() if len(content) > SMALLEST}, reverse=True)
    assert sizes, "the verb writes nothing large enough"
    for size in sizes[:: max(1, len(sizes) // limits)][:limits]:
        out = folder / f"limited{size}"
        arguments = begin(name, out)
        before = contents(out)
        check_failure(commands.run(arguments, largest=size - 1), out, before)
        row = TABLE[name]
        if row.again and has_begun(out / "run"):
            arguments = [word.format(out=out) for word in row.again]
        again = commands.run(arguments)
        assert again.status == 0, again.said
        assert files(out, relative=True) >= files(whole, relative=True)


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.quick])
def test_a_full_disk_is_said_and_leaves_nothing_partial(name: str, commands: Commands, begin: Begin, tmp_path: Path):
    if name == "data split":
        pytest.skip("its lists are smaller than any limit under which a command can speak")
    fill(name, commands, begin, tmp_path, limits=1)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.fuzz if name == "deploy" else pytest.mark.heavy)
        for name, row in TABLE.items()
        if not row.quick
    ],
)
def test_a_full_disk_under_every_verb(name: str, commands: Commands, begin: Begin, tmp_path: Path):
    fill(name, commands, begin, tmp_path, limits=1)


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by the administrator only")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


SMALL = ("check", "data convert", "data split", "data town", "predict", "evaluate", "train")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.heavy if name in SMALL else pytest.mark.fuzz) for name in TABLE]
)
def test_a_small_disk_under_every_verb(name: str, commands: Commands, begin: Begin, tmp_path: Path):
    whole = tmp_path / "whole"
    arguments = begin(name, whole)
    start = pages(whole)
    done = commands.run(arguments)
    assert done.status == 0, done.said
    # Half of what it writes fits beside what is there.
    with small_disk(tmp_path / "disk", 4096 * (start + max(1, (pages(whole) - start) // 2))):
        out = tmp_path / "disk" / "out"
        arguments = begin(name, out)
        before = contents(out)
        check_failure(commands.run(arguments), out, before)


def pages(folder: Path) -> int:
    """Pages of 4096 bytes that a folder takes on a tmpfs: those of the content of its files."""
    return sum(-(-path.stat().st_size // 4096) for path in folder.rglob("*") if path.is_file())
