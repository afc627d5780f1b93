"""The example plug-in's export target, installed as a package and used from the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from distributions import install_example, python

pytestmark = pytest.mark.heavy

VERBS = """
import json, sys
from pixelwise.cli import main
for arguments in json.loads(sys.argv[1]):
    code = main(arguments)
    if code:
        sys.exit(f"{arguments} ended with {code}")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example is installed in."""
    return install_example(tmp_path_factory.mktemp("example") / "site")


def run(site: Path, *verbs: list[object]) -> subprocess.CompletedProcess[str]:
    """Run verbs one after the other in one process."""
    done = python("-c", VERBS, json.dumps([[str(word) for word in verb] for verb in verbs]), site=site)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def exported(site: Path, tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported artefact, already used by `predict` and `evaluate` like a run."""
    output = tmp_path_factory.mktemp("exported")
    run(
        site,
        ["export", tiny_run, "--target", "weights-npz", "--output", output / "npz", "--dynamic", "--uint8-input"],
        ["predict", output / "npz", tiny_data / "images" / "val", "--output", output / "masks"],
        ["evaluate", output / "npz" / "model.npz", "--data", tiny_data, "--split", "val"],
    )
    return output


def test_it_exports_verifies_predicts_and_evaluates(exported: Path) -> None:
    import tomllib

    description = tomllib.loads((exported / "npz" / "model.toml").read_text("utf-8"))
    assert (description["runtime"], description["plugin"]) == ("weights-npz", "pixelwise-example 0.1.0")
    assert description["verification"]["equal_pixels"] == 1
    assert len(list((exported / "masks").rglob("*.png"))) >= 3
    result = json.loads((exported / "npz" / "evaluations" / "val-native" / "result.json").read_text("utf-8"))
    assert result["images"] == 3
    assert result["weights_sha256"] == description["files"]["model.npz"]


def test_without_the_package_an_artefact_names_it(exported: Path, tmp_path: Path) -> None:
    done = python("-c", VERBS, json.dumps([["predict", str(exported / "npz"), str(tmp_path)]]), site=tmp_path)
    assert "error[K469]" in done.stderr
    assert "pip install 'pixelwise-example'" in done.stderr


def test_it_is_in_the_help_and_keeps_the_contract(site: Path) -> None:
    check = "from pixelwise.testing import check_target; check_target('weights-npz'); " + VERBS
    done = python("-c", check, json.dumps([["export", "--help"]]), site=site)
    assert done.returncode == 0, done.stderr
    assert "weights-npz" in done.stdout


def test_it_is_timed_and_deployed_beside_the_others(site: Path, tiny_run: Path, exported: Path, tmp_path: Path) -> None:
    done = run(
        site,
        ["profile", exported / "npz", "--runtime", "weights-npz", "--rounds", "2", "--size", "64x48"],
        ["deploy", tiny_run, "--targets", "weights-npz,torch-export", "--rounds", "2", "--output", tmp_path / "card"],
    )
    assert "weights-npz" in done.stdout
    rows = {row["runtime"]: row for row in json.loads((tmp_path / "card" / "card.json").read_text("utf-8"))["rows"]}
    assert rows["weights-npz"]["name"] == "NumPy archive"
    assert rows["weights-npz"]["equal_pixels"] == 1
    assert len(rows["weights-npz"]["latencies"]) == 1
    assert ">NumPy archive</text>" in (tmp_path / "card" / "card.html").read_text("utf-8")
