"""The example plug-in's metric and protocols, installed as a package and used from the command line."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
from distributions import install_example, python

VERBS = """
import json, sys
from pixelwise.cli import main
for arguments in json.loads(sys.argv[1]):
    code = main(arguments)
    if code:
        sys.exit(code)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example is installed in."""
    return install_example(tmp_path_factory.mktemp("example") / "site")


def verbs(site: Path, *words: list[object]) -> subprocess.CompletedProcess[str]:
    """Run verbs one after the other in one process."""
    return python("-c", VERBS, json.dumps([[str(word) for word in verb] for verb in words]), site=site)


@pytest.fixture(scope="module")
def scored(site: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run scored by the example's metric and protocols, and the printed output."""
    run = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("scored") / "run"))
    protocols = ["--protocol", "shorter-32", "--protocol", "kitti-1242x375"]
    done = verbs(site, ["evaluate", run, *protocols, "--metric", "hausdorff95", "--group", "^0(.)"])
    assert done.returncode == 0, done.stderr
    return run, done.stdout


@pytest.mark.heavy
def test_values_are_in_the_result_and_in_its_groups(scored: tuple[Path, str]) -> None:
    run, _ = scored
    result = json.loads((run / "evaluations" / "test-shorter-32" / "result.json").read_text("utf-8"))
    found = result["metrics"]["hausdorff95"]
    assert (found["title"], found["unit"], found["class_title"]) == ("mean Hausdorff distance", "px", "Hausdorff")
    assert len(found["per_class"]) == 3
    assert 0 < found["value"] <= math.hypot(48, 64)
    # Every group is one image: the mean of each class over the groups that have it is that of the split.
    groups = [group["metrics"]["hausdorff95"]["per_class"] for group in result["groups"]]
    assert len(groups) == 3
    for class_id, value in enumerate(found["per_class"]):
        known = [group[class_id] for group in groups if group[class_id] is not None]
        assert value == pytest.approx(sum(known) / len(known))
    with open(run / "evaluations" / "test-shorter-32" / "per_class.csv", newline="", encoding="utf-8") as file:
        assert [float(row["hausdorff95"]) for row in csv.DictReader(file)] == pytest.approx(found["per_class"])


@pytest.mark.heavy
def test_values_are_on_the_terminal_and_in_the_report(scored: tuple[Path, str]) -> None:
    run, stdout = scored
    result = json.loads((run / "evaluations" / "test-shorter-32" / "result.json").read_text("utf-8"))
    found = result["metrics"]["hausdorff95"]
    text = f"{found['value']:.2f} px"
    page = (run / "report.html").read_text("utf-8")
    assert f"mean Hausdorff distance {text}" in stdout
    assert f"{found['per_class'][0]:.2f} px" in stdout
    assert f"mean Hausdorff distance {result['groups'][1]['metrics']['hausdorff95']['value']:.2f} px" in stdout
    assert "test, kitti-1242x375, 3 images" in stdout
    assert "Mean Hausdorff distance" in page
    # The page is about the first evaluation.
    shown = json.loads((run / "evaluations" / "test-kitti-1242x375" / "result.json").read_text("utf-8"))
    assert f'<td class="right">{shown["groups"][1]["metrics"]["hausdorff95"]["value"]:.2f} px</td>' in page


@pytest.mark.heavy
def test_the_command_measures_the_same_again(site: Path, scored: tuple[Path, str]) -> None:
    import shlex

    run, _ = scored
    path = run / "evaluations" / "test-shorter-32" / "result.json"
    before = json.loads(path.read_text("utf-8"))
    assert before["command"].endswith("--protocol shorter-32 --metric hausdorff95 --group '^0(.)'")
    done = verbs(site, shlex.split(before["command"])[1:])
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text("utf-8"))["metrics"] == before["metrics"]


@pytest.mark.heavy
def test_a_result_is_read_and_drawn_where_the_package_is_not_installed(
    tmp_path: Path, scored: tuple[Path, str], run_cli
) -> None:
    run = Path(shutil.copytree(scored[0], tmp_path / "run"))
    (run / "report.html").unlink()
    assert run_cli(["report", run]).code == 0
    assert "Mean Hausdorff distance" in (run / "report.html").read_text("utf-8")
    refused = run_cli(["evaluate", run, "--metric", "hausdorff95"])
    assert (refused.code, "error[R225]" in refused.stderr) == (2, True)
    refused = run_cli(["evaluate", run, "--protocol", "shorter-32"])
    assert (refused.code, "error[R204]" in refused.stderr) == (2, True)


@pytest.mark.heavy
def test_recipes_take_the_protocols(site: Path) -> None:
    done = verbs(site, ["show", "unet-resnet18", "evaluation.protocols=['shorter-64', 'kitti-1242x375']"])
    assert done.returncode == 0, done.stderr
    assert "shorter-64" in done.stdout


@pytest.mark.heavy
def test_it_is_in_the_help_and_keeps_the_contract(site: Path) -> None:
    check = "from pixelwise.testing import check_metric; check_metric('hausdorff95'); " + VERBS
    done = python("-c", check, json.dumps([["evaluate", "--help"]]), site=site)
    assert done.returncode == 0, done.stderr
    assert "hausdorff95" in done.stdout


@pytest.mark.heavy
def test_a_mistyped_name_is_told_the_nearest(site: Path, scored: tuple[Path, str]) -> None:
    done = verbs(site, ["evaluate", scored[0], "--metric", "hausdorf"])
    assert done.returncode == 2
    assert "error[R225]" in done.stderr
    assert "'hausdorff95'" in done.stderr


@pytest.mark.heavy
def test_the_distance_of_two_squares_by_hand(site: Path) -> None:
    script = (
        "import numpy as np\nfrom pixelwise_example.hausdorff import contour, distance\n"
        "a = np.zeros((9, 12), bool); a[2:5, 2:5] = True\nb = np.roll(a, 3, 1)\n"
        "print(int(contour(a).sum()), distance(a, a), distance(a, b), distance(a, ~a & False))"
    )
    done = python("-c", script, site=site)
    # The rim of a 3x3 square is 8 pixels. Moved by three columns, each rim pixel is 1 to 3 columns from the other rim.
    assert done.stdout.split() == ["8", "0.0", "3.0", "15.0"], done.stderr
