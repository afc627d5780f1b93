"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

# Tests measure nothing in time; one thread each is the fastest on a shared machine, and OpenMP
# collapses when more threads run than there are free cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_COLOR", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    """What a command line call gave back."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep caches of the tests away from the user's."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    """The real CamVid folder; it is not part of the project (CC BY-NC)."""
    named = os.environ.get("PIXELWISE_CAMVID")
    root = Path(named) if named else REPOSITORY.parent / "shared" / "camvid"
    if not (root / "images" / "test").is_dir():
        pytest.skip(
            f"CamVid is not at {root}; set PIXELWISE_CAMVID to its folder (images/ and masks/ inside)"
        )
    return root


@pytest.fixture
def run_cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Call the command line in this process: `run_cli(["check", path]) -> (code, stdout, stderr)`."""

    def run(arguments: Sequence[str | os.PathLike[str]], env: dict[str, str] | None = None) -> Run:
        from pixelwise.cli import main

        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        code = main([os.fspath(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Run(code, captured.out, captured.err)

    return run
