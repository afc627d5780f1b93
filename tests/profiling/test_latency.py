from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.observer import Observer
from pixelwise.profiling.latency import Candidate, measure_latency


class Watching(Observer):
    """Records the progress that it receives."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None]] = []

    def progress(self, done: int, total: int | None) -> None:
        self.seen.append((done, total))


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


def test_what_is_wrong_with_a_candidate_is_heard() -> None:
    with pytest.raises(RecipeError) as caught:
        measure_latency([Candidate(source="town-dmeo", runtime="torch", threads=1)], (32, 48), rounds=1)
    assert caught.value.code == "R200"


def test_no_threads_are_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match=r"threads \[0\]"):
        measure_latency([Candidate(source="town-demo", runtime="torch", threads=0)], (32, 48))
