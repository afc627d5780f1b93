import threading
import time
from pathlib import Path

import numpy as np
import pytest
from compared_runs import drawn, scored_run

from pixelwise.evaluation.comparison.comparing import Drawn, drawn_of
from pixelwise.pages.separated.background import Separations
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import Result, load_result

ACCURACIES = {"good": 0.9, "near": 0.895, "bad": 0.5}


@pytest.fixture
def results(tmp_path: Path) -> list[tuple[Path, Result]]:
    truth = np.random.default_rng(0).integers(1, 500, (30, 3))
    found = []
    for number, (name, accuracy) in enumerate(ACCURACIES.items()):
        matrices = drawn(np.random.default_rng(number), truth, np.full(3, accuracy))
        folder = evaluation_folder(scored_run(tmp_path / name, matrices), "val", "native")
        found.append((folder, load_result(folder)))
    return found


def settled(separations: Separations, results: list[tuple[Path, Result]]) -> list[bool | None]:
    separations.of(results)
    while separations.pending:
        time.sleep(0.01)
    return separations.of(results)


def test_what_is_not_told_from_the_best_is_known_after_a_while(results: list[tuple[Path, Result]]):
    assert settled(Separations(), results) == [False, False, True]
    assert settled(Separations(), results[:1]) == [None]


def test_a_page_does_not_wait(results: list[tuple[Path, Result]]):
    going = threading.Event()

    def draw(folder: Path, result: Result) -> Drawn:
        going.wait(60)
        return drawn_of(folder, result)

    separations = Separations(draw)
    assert separations.of(results) == [None] * 3
    going.set()
    assert settled(separations, results) == [False, False, True]


def test_whatever_is_wrong_with_a_result_the_others_are_drawn(results: list[tuple[Path, Result]]):
    best, second, worst = sorted(results, key=lambda one: -one[1].miou)

    def draw(folder: Path, result: Result) -> Drawn:
        if folder == second[0]:
            raise MemoryError
        return drawn_of(folder, result)

    assert settled(Separations(draw), [worst, best, second]) == [True, False, None]


def test_results_without_counts_have_no_mark(results: list[tuple[Path, Result]]):
    best, second, worst = sorted(results, key=lambda one: -one[1].miou)
    (second[0] / "images.jsonl").unlink()
    (worst[0] / "images.jsonl").write_text("damaged")
    assert settled(Separations(), [second, best, worst]) == [None, False, None]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_mark_says_near_the_best_of_which_nothing_is_known(place: int, results: list[tuple[Path, Result]]):
    best, *others = sorted(results, key=lambda one: -one[1].miou)
    (best[0] / "images.jsonl").unlink()
    assert settled(Separations(), [*others[:place], best, *others[place:]]) == [None] * 3
