from pathlib import Path

import numpy as np
import pytest
from data_to_show import shown_data
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.datasets.auditing.examination import examine
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.pages.labels.columns import Columns, Entries, codes_of
from pixelwise.pages.labels.survey import opened_data

ROWS = st.lists(st.sets(st.integers(0, 300), max_size=8), max_size=40)


@given(ROWS)
@settings(max_examples=25)
def test_entries_keep_every_row(rows: list[set[int]]):
    entries = Entries()
    for row, keys in enumerate(rows):
        entries.add(row, sorted(keys), [key + row for key in sorted(keys)])
    for row, keys in enumerate(rows):
        assert entries.of(row) == {key: key + row for key in keys}
    for key in (0, 7, 300):
        assert entries.rows_with(key).tolist() == [row for row, keys in enumerate(rows) if key in keys]


def test_what_was_read_stays_while_more_is_added():
    entries = Entries()
    entries.add(0, [1, 2], [10, 20])
    before = entries.read()
    for row in range(1, 3000):
        entries.add(row, [5], [row])
    assert [part.tolist() for part in before] == [[0, 0], [1, 2], [10, 20]]
    assert len(entries.read()[0]) == 3001


@pytest.fixture
def columns(tmp_path: Path) -> Columns:
    return Columns(opened_data(shown_data(tmp_path)))


def test_rows_are_the_pairs_of_all_splits(columns: Columns):
    assert [columns.place(row)[0] for row in range(len(columns))] == ["train"] * 4 + ["val"] * 2
    for row in range(6):
        split, sample = columns.place(row)
        assert columns.row_of(split, sample.id) == row
    assert columns.row_of("val", "a") is None  # it is in the other split
    assert columns.row_of("nowhere", "a") is None
    for wrong in (-1, 6):
        with pytest.raises(IndexError):
            columns.place(wrong)


def test_ids_are_searched_in_any_case(columns: Columns):
    def ids(text: str) -> list[str]:
        return [columns.place(row)[1].id for row in columns.named(text).tolist()]

    assert ids("C") == ["c", "copy"]
    assert ids("nown") == ["unknown"]
    assert ids("a\nb") == []  # no id has a line break, and none is found across two


def test_findings_about_several_images_join_those_of_each(columns: Columns):
    columns.mark(0, ["D202", "D202", "W102"])
    columns.mark(3, ["D202"])
    joined = columns.with_findings({"D133": [4, 0], "D202": [3]})
    named = {row: sorted(columns.codes[key] for key in joined.of(row)) for row in (0, 3, 4)}
    assert named == {0: ["D133", "D202", "W102"], 3: ["D202"], 4: ["D133"]}
    assert np.all(np.diff(joined.read()[0].astype(int)) >= 0)


def test_codes_of_a_pair(tmp_path: Path):
    dataset = opened_data(shown_data(tmp_path))
    found = {
        sample.id: codes_of(examine("train", sample, dataset, HashCache(dataset.root)), dataset)
        for sample in dataset.splits["train"]
    }
    assert found == {"a": [], "b": [], "unknown": ["D202"], "wide": []}
