import io
import json

import pytest
from reports.card.cards import MACHINE, make_card, timed
from rich.console import Console

from pixelwise.deployment.card.latencies import LatencyTable
from pixelwise.reports.card.terminal import print_card, print_latencies, show_card


def test_the_table_on_a_narrow_terminal_loses_nothing():
    stream = io.StringIO()
    print_card(make_card(), Console(file=stream, width=80, highlight=False))
    text = stream.getvalue()
    assert "\u2026" not in text
    for cell in (
        "1.50 MB",
        "58.80",
        "1.20!",
        "97.000",
        "40.0",
        "80.0",
        "512 MiB",
        "[R240] the package <x|y> is missing",
    ):
        assert cell in text


def test_a_card_is_shown_with_the_place_of_its_page_or_as_its_file_holds_it(tmp_path, capsys: pytest.CaptureFixture):
    show_card(make_card(), tmp_path, as_json=False)
    assert capsys.readouterr().out.rstrip().endswith("card.html")
    show_card(make_card(), tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out)["recipe"] == "town_demo"


def test_latencies_are_a_line_each_with_what_they_were_measured_with():
    stream = io.StringIO()
    table = LatencyTable(model="mine", rows=timed("torch", 0.04, 0.03), machine=MACHINE, versions={})
    print_latencies(table, Console(file=stream, width=100, highlight=False))
    lines = stream.getvalue().splitlines()
    assert lines[1].split() == ["torch", "1", "40.0", "80.0", "25", "512", "MiB"]
    assert lines[2].split() == ["torch", "2", "30.0", "60.0", "33.3", "512", "MiB"]
    assert lines[3].startswith("1 image of 64x48 (W x H) per pass, 5 passes in turns; A <fast> CPU, 2 cores")
