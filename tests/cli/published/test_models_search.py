import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from reports.zoo_cases import make_result, write_result

from pixelwise.recipes.catalog import list_recipes, recipe


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """A folder without benchmarks/results."""
    monkeypatch.chdir(tmp_path)


def test_models_alone_shows_its_help(run_cli: Callable):
    assert "search" in run_cli(["models"]).stdout


def test_candidates_are_printed_with_their_cost(run_cli: Callable):
    code, stdout, _ = run_cli(["models", "search", "gmacs<5 miou>53 family=enet"], env={"COLUMNS": "120"})
    assert code == 0
    lines = [line.split() for line in stdout.splitlines()]
    assert lines[0] == ["recipe", "data", "mIoU", "measured", "params", "(M)", "GMACs", "at"]
    assert ["enet-cityscapes", "cityscapes", "60.94", "-", "0.358", "4.140", "1024x512"] in lines
    assert ["enet-camvid", "camvid", "53.12", "-", "0.357", "1.315", "480x360"] in lines
    assert f"{sum(line[0].startswith('enet-') for line in lines if line)} found" in stdout


def test_conditions_may_be_separate_arguments_and_results_sorted(run_cli: Callable):
    found = json.loads(
        run_cli(["models", "search", "family=enet", "miou>53", "name!=2021", "--sort", "gmacs", "--json"]).stdout
    )
    assert [one["name"] for one in found] == ["enet-camvid", "enet-cityscapes"]
    assert found[0] == {
        "name": "enet-camvid", "family": "enet", "encoder": None, "dataset": "camvid", "page": "000", "licence": "MIT",
        "qat": False, "miou": 53.12, "measured": None, "gmacs": 1.315, "params": 357052, "input": "480x360",
        "summary": recipe("enet-camvid").summary,
    }  # fmt: skip


def test_measured_scores_can_be_asked_for(run_cli: Callable, tmp_path):
    write_result(tmp_path / "benchmarks" / "results" / "a.json", make_result(recipe("enet-camvid"), 52.5))
    found = json.loads(run_cli(["models", "search", "measured>50", "--json"]).stdout)
    assert [(one["name"], one["measured"]) for one in found] == [("enet-camvid", 52.5)]


@pytest.mark.heavy
def test_nothing_found_says_why_and_is_no_error(run_cli: Callable):
    code, stdout, _ = run_cli(["models", "search", "gmacs<1000000 miou>99"])
    assert code == 0
    number = len(list_recipes())
    summary, _, condition = stdout.splitlines()
    assert str(number) in summary
    assert condition.strip().startswith("miou>99 ")
    assert condition.count(str(number)) >= 2
    assert json.loads(run_cli(["models", "search", "miou>99", "--json"]).stdout) == []


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("miuo>3", "R208", "'miou'"),
        ("dataset=camvit", "R208", "'camvid'"),
        ("page=enett", "R209", "'enet'"),
    ],
)
def test_mistakes_in_a_query_get_near_misses(run_cli: Callable, query, code, words):
    found = run_cli(["models", "search", query])
    assert found.code == 2
    assert f"error[{code}]" in found.stderr
    assert words in found.stderr


def test_names_are_not_cut_on_a_narrow_terminal(run_cli: Callable):
    stdout = run_cli(["models", "search", "family=enet"], env={"COLUMNS": "80"}).stdout
    assert max(map(len, stdout.splitlines())) <= 80
    assert "…" not in stdout


def test_searching_published_rows_loads_no_torch():
    script = (
        "import sys; from pixelwise.cli import main; main(['models', 'search', 'gmacs<5 miou>50 family=enet']); "
        "sys.exit(bool({'torch', 'numpy', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
