import math
from pathlib import Path

import msgspec
from results import miniature

from pixelwise.pages.board import board_of, in_order, row_of, three_digits
from pixelwise.pages.catalog import Catalog, Entry
from pixelwise.pages.networks.costs import UNKNOWN, Cost, Costs
from pixelwise.pages.state import State
from pixelwise.records.result import TrainingCost, save_result


def row(id: str, miou: float, cost: Cost | None = UNKNOWN):
    result = miniature(miou=miou, training=TrainingCost(steps=1, seconds=90, peak_memory_bytes=1))
    return row_of(Entry(id, f"runs/{id}", Path(), Path()), result, cost)


def order(state: State) -> list[str]:
    rows = [row("b", 0.5, Cost(2, 2, None)), row("a", 0.7, Cost(3, 3, None)), row("c", math.nan, Cost(1, 1, None))]
    return [one.id for one in in_order(rows, state)]


def test_the_cells_of_a_row():
    cells = row("a", 0.75, Cost(1_234_567, 2_500_000_000, (64, 96))).cells
    shown = {column: cell.text for column, cell in cells.items()}
    # One image per second takes 1000 ms; 90 s are 1.5 min.
    assert shown == {
        "miou": "75.00", "boundary": "n/a", "parameters": "1.23", "gmacs": "2.5", "latency": "1000", "minutes": "1.5"
    }  # fmt: skip
    assert (cells["miou"].note, cells["gmacs"].note) == ("50.0 to 90.0", "at 96 x 64 px")
    assert row("a", 0.75, None).cells["gmacs"].text == "…"
    assert row("a", 0.75, UNKNOWN).cells["gmacs"].text == "n/a"


def test_the_best_come_first_and_what_is_unknown_last():
    assert order(State()) == ["a", "b", "c"]
    assert order(State(reverse=True)) == ["b", "a", "c"]
    assert order(State(sort="gmacs")) == ["c", "b", "a"]
    assert order(State(pinned=("c", "b"))) == ["c", "b", "a"]


def test_the_best_of_a_column_is_marked():
    first, second = in_order([row("a", 0.7), row("b", 0.5)], State())
    assert "miou" in first.best
    assert "miou" not in second.best
    assert in_order([row("a", 0.7)], State())[0].best == frozenset()


def test_unlike_numbers_never_share_a_table(tmp_path: Path):
    for name, changes in {
        "a": {},
        "b": {"miou": 0.5},
        "c": {"protocol": "other"},
        "d": {"data_fingerprint": "other"},
        "e": {"split": "test"},
        "f": {"variant": "other"},
    }.items():
        save_result(miniature(**changes), (), tmp_path / name / "evaluations" / "val-native")
    (tmp_path / "broken" / "evaluations" / "x").mkdir(parents=True)
    (tmp_path / "broken" / "evaluations" / "x" / "result.json").write_text("{}")
    catalog = Catalog([tmp_path])
    costs = Costs(lambda run, size: UNKNOWN)
    board = board_of(catalog, catalog.entries(), costs, State())
    assert [len(group.rows) for group in board.groups] == [2, 1, 1, 1, 1]
    assert [Path(one.name).name for one in board.groups[0].rows] == ["a", "b"]
    assert len(board.problems) == 1
    hidden = board.groups[0].rows[0].id
    board = board_of(catalog, catalog.entries(), costs, State(hidden=(hidden,)))
    assert sum(len(group.rows) for group in board.groups) == 5
    assert board.hidden == 1


def test_three_digits():
    assert [three_digits(value) for value in (0.37125, 12.345, 4567.8, 0.00012, 0)] == [
        "0.371", "12.3", "4568", "1.2e-04", "0"
    ]  # fmt: skip


def test_a_result_is_read_again_when_it_changes(tmp_path: Path):
    folder = tmp_path / "a" / "evaluations" / "val-native"
    save_result(miniature(), (), folder)
    catalog = Catalog([tmp_path])
    (entry,) = catalog.entries()
    first = catalog.result(entry)
    assert first is catalog.result(entry)
    save_result(miniature(miou=0.125), (), folder)
    assert msgspec.structs.replace(first, miou=0.125) == catalog.result(entry)
