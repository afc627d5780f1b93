import json

import pytest
from zoo.candidates import CANDIDATES

from pixelwise.reports.zoo.matches import record, show_matches
from pixelwise.zoo.searching import SearchResult

FOUND = SearchResult(tuple(CANDIDATES), 4, ())


@pytest.mark.parametrize(("columns", "encoder"), [("80", False), ("160", True)])
def test_a_wide_terminal_has_room_for_the_encoders(monkeypatch, capsys, columns, encoder):
    monkeypatch.setenv("COLUMNS", columns)
    show_matches(FOUND)
    out = capsys.readouterr().out
    assert ("resnet101" in out) is encoder
    assert max(map(len, out.splitlines())) <= int(columns)


def test_the_table_has_scores_cost_and_size(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    show_matches(FOUND)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["small-enet-qat", "camvid", "49.00", "48.50", "2.500", "2.000", "480x360"] in lines
    assert ["unscored-fcn", "cityscapes", "-", "-", "2.500", "100.00", "512x512"] in lines


def test_reasons_are_printed_where_nothing_is_found(capsys):
    show_matches(SearchResult((), 4, ("miou>99 excludes 4 of 4",)))
    assert capsys.readouterr().out.splitlines()[1:] == ["  miou>99 excludes 4 of 4"]


def test_json_has_every_field_and_sizes_as_width_x_height(capsys):
    show_matches(FOUND, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert rows == [record(one) for one in CANDIDATES]
    assert (rows[2]["input"], rows[2]["encoder"], rows[2]["qat"]) == ("1024x512", "resnet101", False)
