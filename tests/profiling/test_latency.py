from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError, ResourceError
from pixelwise.observer import Observer
from pixelwise.profiling import latency
from pixelwise.profiling.latency import Candidate, measure_latency


class Watching(Observer):
    """Records the progress that it receives."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None]] = []

    def progress(self, done: int, total: int | None) -> None:
        self.seen.append((done, total))


@pytest.mark.heavy
def test_candidates_are_measured_in_processes_of_their_own() -> None:
    candidates = [
        Candidate(source="town-demo", runtime="torch", threads=1),
        Candidate(source="town-demo", runtime="torch-channels-last", threads=2),
    ]
    observer = Watching()

    first, second = measure_latency(candidates, (32, 48), batch=2, rounds=3, warm_up=1, observer=observer)

    assert (first.runtime, first.threads, first.batch, first.size, first.rounds) == ("torch", 1, 2, (32, 48), 3)
    assert (second.runtime, second.threads) == ("torch-channels-last", 2)
    for found in (first, second):
        assert 0 < found.median_seconds <= found.p99_seconds
        assert found.images_per_second == pytest.approx(2 / found.median_seconds)
        assert found.peak_memory_bytes >= found.loaded_memory_bytes > 0
    assert observer.seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.heavy
def test_what_is_wrong_with_a_candidate_is_heard() -> None:
    with pytest.raises(RecipeError) as caught:
        measure_latency([Candidate(source="town-dmeo", runtime="torch", threads=1)], (32, 48), rounds=1)
    assert caught.value.code == "R200"


def test_no_threads_are_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match=r"threads \[0\]"):
        measure_latency([Candidate(source="town-demo", runtime="torch", threads=0)], (32, 48))


@pytest.mark.heavy
def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pixelwise\n"
        "print('here', flush=True)\n"
        "print(len(pixelwise.profile('town-demo', runtimes=('torch',), size=(32, 48), rounds=1).rows))\n",
        "utf-8",
    )
    done = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["here", "1"]), done.stderr


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("side", "kind", "code"),
    [(1 << 24, ResourceError, "S607"), (0, CheckpointError, "K463")],  # 3 PiB, and nothing at all
)
def test_what_fails_in_a_process_has_a_code(side: int, kind: type[PixelwiseError], code: str) -> None:
    with pytest.raises(kind) as caught:
        measure_latency([Candidate(source="town-demo", runtime="torch", threads=1)], (side, side), rounds=1)
    assert caught.value.code == code  # type: ignore[attr-defined]


@pytest.mark.heavy
def test_a_process_that_dies_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_serve", sys.exit)  # with too many arguments, so that it ends without an answer
    with pytest.raises(ResourceError) as caught:
        measure_latency([Candidate(source="town-demo", runtime="torch", threads=1)], (32, 48), rounds=1)
    assert caught.value.code == "S607"
