import os
from pathlib import Path

import pytest

from pixelwise.datasets.layouts.cached_files import cached_files

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "a.npz"
    path.parent.mkdir()
    path.write_bytes(b"one")
    return path


def unpack(source: Path, calls: list[Path]) -> Path:
    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "a").write_bytes(source.read_bytes())

    return cached_files("npz", source.parent, [source], write)


def test_files_are_written_once(source: Path):
    calls: list[Path] = []
    first, second = unpack(source, calls), unpack(source, calls)
    assert first == second
    assert len(calls) == 1
    assert (first / "a").read_bytes() == b"one"


def test_another_source_is_another_folder_and_the_old_one_goes(source: Path, own_cache: Path):
    calls: list[Path] = []
    first = unpack(source, calls)
    source.write_bytes(b"other")
    os.utime(source, ns=(1, 1))
    second = unpack(source, calls)
    assert len(calls) == 2
    assert second != first
    assert (second / "a").read_bytes() == b"other"


def test_what_fails_leaves_nothing(source: Path, own_cache: Path):
    def write(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached_files("npz", source.parent, [source], write)
    assert [path.name for path in own_cache.rglob("*") if path.name == "half"] == []
    assert (unpack(source, []) / "a").is_file()
