"""The example plug-in's loss term and tracker, installed as a package and used from the command line."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from distributions import EXAMPLE, install_example, python

from pixelwise.records.environment import read_environment
from pixelwise.records.log import EvaluationRecord, StepRecord, read_log

pytestmark = pytest.mark.heavy

CLI = ("-c", "from pixelwise.cli import entry; entry()")
POLY = ("loss.terms.poly.weight=0.5", "loss.cross_entropy=0.5")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    install_example(site)
    return site


@pytest.fixture(scope="module")
def run(site: Path, tiny_data: Path, tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained with the plug-in's loss term and tracker."""
    run = tmp_path_factory.mktemp("runs") / "poly"
    options = ("--data", str(tiny_data), "--output", str(run), "--threads", "1", "--track", "csv")
    done = python(*CLI, "train", str(tiny_recipe), *options, *POLY, "schedule.iterations=8", site=site)
    assert done.returncode == 0, done.stderr
    return run


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_the_term_is_shown_with_its_options_and_without_torch(site: Path):
    code = "import sys; from pixelwise.cli import main; code = main(sys.argv[1:]); print('torch' in sys.modules)"
    done = python("-c", code, "show", "town-demo", *POLY, site=site)
    assert "[loss.terms.poly]\nweight = 0.5\nepsilon = 1.0\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
    done = python(*CLI, "show", "town-demo", "--explain", *POLY, site=site)
    section = done.stdout.split("[loss.terms.poly]\n")[1].split("\n[")[0]
    assert "\nweight = 0.5 # " in f"\n{section}"
    assert "\nepsilon = 1.0 # " in f"\n{section}"


def test_wrong_options_of_the_term_are_refused(site: Path):
    done = python(*CLI, "show", "town-demo", "loss.terms.poly.epsilom=1", site=site)
    assert (done.returncode, "epsilon" in done.stderr, "R202" in done.stderr) == (2, True, True)


def test_the_run_names_the_package_and_its_tables_hold_what_its_log_holds(run: Path):
    environment = read_environment(run)
    assert environment.plugins == {"pixelwise-example": "0.1.0"}
    assert environment.trackers == ("csv",)
    log = read_log(run)
    steps = rows(run / "csv" / "steps.csv")
    assert [(int(row["step"]), float(row["loss"])) for row in steps] == [
        (record.step, record.loss) for record in log.of(StepRecord)
    ]
    evaluations = rows(run / "csv" / "evaluations.csv")
    assert [float(row["miou"]) for row in evaluations] == [record.miou for record in log.of(EvaluationRecord)]
    assert evaluations


def test_a_run_that_goes_on_is_tracked_on(site: Path, run: Path):
    done = python(*CLI, "resume", str(run), "schedule.iterations=10", "--no-evaluate", site=site)
    assert done.returncode == 0, done.stderr
    assert [int(row["step"]) for row in rows(run / "csv" / "steps.csv")] == list(range(1, 11))


def test_without_the_package_the_error_names_it(run: Path, tmp_path: Path):
    done = python(*CLI, "evaluate", str(run), site=tmp_path)
    assert done.returncode == 2
    assert "error[R273]" in done.stderr
    assert "pip install pixelwise-example==0.1.0" in done.stderr


def test_term_and_tracker_keep_their_contracts(site: Path, tmp_path: Path):
    code = (
        "import sys, pathlib; from pixelwise.testing import check_term, check_tracker\n"
        "check_term('poly'); check_tracker('csv', pathlib.Path(sys.argv[1]))"
    )
    done = python("-c", code, str(tmp_path), site=site)
    assert done.returncode == 0, done.stderr


def test_poly_loss_by_hand(site: Path):
    # p = 3/4 and 1/4, the third pixel is ignored; epsilon 2: -ln(3/4) - ln(1/4) + 2 (1/4 + 3/4), halved.
    code = (
        "import math, torch; from pixelwise.losses.segmentation import segmentation_loss\n"
        "from pixelwise.recipes.schema.loss import Loss\n"
        "logits = torch.zeros(1, 2, 1, 3); logits[:, 0] = math.log(3)\n"
        "loss = Loss(cross_entropy=0, terms={'poly': {'epsilon': 2}})\n"
        "print(segmentation_loss((logits,), torch.tensor([[[0, 1, 255]]]), loss).item())"
    )
    done = python("-c", code, site=site)
    assert float(done.stdout) == pytest.approx((0.28768207 + 1.38629436 + 2) / 2)


def test_pip_installs_it(tmp_path: Path):
    target = tmp_path / "target"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(target),
    ]
    subprocess.run([*command, str(EXAMPLE)], check=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    code = "import json; from pixelwise.recipes.schema.terms import TERMS; print(json.dumps(sorted(TERMS.all())))"
    assert "poly" in json.loads(python("-c", code, site=target).stdout)
