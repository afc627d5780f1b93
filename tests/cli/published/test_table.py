import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from reports.zoo_cases import make_result, write_result

from pixelwise.recipes.catalog import recipe

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder without benchmarks/results."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.heavy
def test_the_terminal_is_the_default(run_cli: Callable, elsewhere):
    code, stdout, stderr = run_cli(["table", "enet"], env={"COLUMNS": "120"})
    assert (code, stderr) == (0, "")
    assert "Page 000" in stdout
    assert "Page 001" not in stdout
    assert stdout.count("architecture verified") >= 3


@pytest.mark.parametrize("ending", ["md", "html", "csv", "json", "txt"])
def test_the_ending_of_the_file_decides_the_format(run_cli: Callable, elsewhere, ending):
    code, stdout, _ = run_cli(["table", "000", "--output", f"page.{ending}"])
    assert (code, stdout) == (0, f"page.{ending}\n")
    text = (elsewhere / f"page.{ending}").read_text("utf-8")
    begins = {"md": "# Published", "html": "<!doctype html>", "csv": "page,", "json": "{", "txt": "Page 000"}
    assert text.startswith(begins[ending])
    assert "enet-cityscapes" in text


def test_formats_can_be_printed_and_json_has_its_own_switch(run_cli: Callable, elsewhere):
    assert json.loads(run_cli(["table", "0", "--json"]).stdout)["pages"][0]["page"] == "000"
    lines = list(csv.DictReader(run_cli(["table", "0", "--format", "csv"]).stdout.splitlines()))
    assert [line["recipe"] for line in lines[:2]] == ["enet-camvid", "enet-cityscapes"]


def test_results_given_by_the_user_are_used(run_cli: Callable, elsewhere):
    entry = recipe("enet-camvid")
    write_result(elsewhere / "mine" / "a.json", make_result(entry, 52.5))
    write_result(elsewhere / "more" / "b.json", make_result(entry, 52.7, "b"))
    rows = json.loads(run_cli(["table", "0", "--json", "--results", "mine", "--results", "more"]).stdout)["pages"][0][
        "rows"
    ]
    assert rows[0]["state"] == "reproduced"
    assert rows[0]["measured_miou_percent"] == pytest.approx(52.6)
    assert rows[1]["state"] == "architecture verified"


def test_benchmark_results_are_used_by_default(run_cli: Callable, elsewhere):
    write_result(elsewhere / "benchmarks" / "results" / "a.json", make_result(recipe("enet-camvid"), 40.0))
    assert json.loads(run_cli(["table", "0", "--json"]).stdout)["pages"][0]["rows"][0]["state"] == "trained here"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["table", "ennet"], 2, "error[R209]"),
        (["table", "enet", "--results", "nowhere"], 3, "error[D240]: nowhere"),
        (["table", "enet", "--output", "page.docx"], 2, "error[R260]: --output is 'page.docx'"),
        (["table", "enet", "--format", "pdf"], 2, "'pdf' is not one of"),
    ],
)
def test_mistakes_end_with_their_status(run_cli: Callable, elsewhere, arguments, code, words):
    found = run_cli(arguments)
    assert found.code == code
    assert words in found.stderr


@pytest.mark.heavy
def test_the_committed_zoo_is_what_the_command_writes(run_cli: Callable, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run_cli(["table", "--format", "md", "--output", tmp_path / "zoo.md"]).code == 0
    written = (tmp_path / "zoo.md").read_text("utf-8")
    # Regenerate with: pixelwise table --format md --output docs/zoo.md
    assert (ROOT / "docs" / "zoo.md").read_text("utf-8") == written


@pytest.mark.heavy
def test_the_committed_modern_page_is_what_the_command_writes(run_cli: Callable, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run_cli(["table", "modern", "--format", "md", "--output", tmp_path / "modern.md"]).code == 0
    written = (tmp_path / "modern.md").read_text("utf-8")
    # Regenerate with: pixelwise table modern --format md --output docs/modern.md
    assert (ROOT / "docs" / "modern.md").read_text("utf-8") == written
