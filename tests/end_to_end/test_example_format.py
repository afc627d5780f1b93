"""The example plug-in's data format, installed as a package and used from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from distributions import install, install_example, python

pytestmark = pytest.mark.heavy

CLI = "import sys; from pixelwise.cli import main; sys.exit(main(sys.argv[1:]))"
SMALL = ("augment.crop=[64,64]", "sampling.batch_size=2", "data.workers=0")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_example(tmp_path_factory.mktemp("example") / "site")


@pytest.fixture(scope="module")
def data(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slices with floating-point images of one channel."""
    root = tmp_path_factory.mktemp("slices")
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        (root / split).mkdir()
        for number in range(count):
            label = np.zeros((64, 80), np.uint8)
            label[10 + 3 * number : 40, 20:60] = 1
            image = np.clip(0.6 * label + random.normal(0.2, 0.05, label.shape), 0, 1)
            np.savez(root / split / f"case{number}.npz", image=image.astype(np.float32), label=label)
    (root / "dataset.toml").write_text('classes = ["background", "organ"]\n')
    return root


def run(site: Path, *arguments: object) -> CompletedProcess[str]:
    return python("-c", CLI, *map(str, arguments), site=site)


def test_it_is_recognised_checked_and_trained_on(site: Path, data: Path, tmp_path: Path):
    checked = run(site, "check", data, "--json")
    assert checked.returncode == 0, checked.stderr
    found = json.loads(checked.stdout)
    assert (found["dataset"], found["classes"], found["splits"]) == (
        "npz-slices",
        ["background", "organ"],
        {"train": 4, "val": 2},
    )
    # Rows 10, 13, 16 and 19 to 40, 40 columns.
    assert found["statistics"]["train"]["pixels"][1] == (30 + 27 + 24 + 21) * 40

    trained = run(
        site, "train", "generic-fcn", "--data", data, "--output", tmp_path / "run", "--weights", "none",
        "data.dataset=npz-slices", "schedule.epochs=1", *SMALL,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    (result,) = (tmp_path / "run" / "evaluations").glob("val-*/result.json")
    scored = json.loads(result.read_text())
    assert (scored["images"], [row["name"] for row in scored["per_class"]]) == (2, ["background", "organ"])


def test_it_keeps_the_contract_of_a_format(site: Path):
    done = python("-c", "from pixelwise.testing import check_format; check_format('npz-slices')", site=site)
    assert done.returncode == 0, done.stderr


def test_errors_know_it(site: Path, tmp_path: Path):
    wrong = run(site, "check", tmp_path, "data.dataset=npz-slice")
    assert wrong.returncode == 2
    assert "error[R203]" in wrong.stderr
    assert "'npz-slices'" in wrong.stderr
    empty = run(site, "check", tmp_path)
    assert empty.returncode == 3
    assert "NumPy archives of image and label" in empty.stderr


def test_archives_that_cannot_be_used_are_findings(site: Path, data: Path, tmp_path: Path):
    (tmp_path / "train").mkdir()
    for number in range(3):
        (tmp_path / "train" / f"{number}.npz").write_bytes((data / "train" / f"case{number}.npz").read_bytes())
    np.savez(tmp_path / "train" / "7.npz", picture=np.zeros((2, 2)))
    (tmp_path / "train" / "8.npz").write_bytes(b"nothing")
    found = json.loads(run(site, "check", tmp_path, "--json").stdout)
    codes = {finding["code"]: finding["total"] for finding in found["findings"]}
    assert codes["D230"] == 2


def test_a_format_that_fails_to_look_harms_no_other(data: Path, tmp_path: Path, tiny_data: Path):
    code = (
        "from pixelwise.datasets.format import UNMISTAKABLE, Format, register\n"
        "register(Format(name='rude', title='rude', expected='', layout=lambda root: None, priority=UNMISTAKABLE,\n"
        "                recognise=lambda root: 1 / 0))\n"
    )
    install(tmp_path, "rude", "[pixelwise.plugins]\nrude = rude\n", code)
    done = run(tmp_path, "check", tiny_data)
    assert done.returncode == 0, done.stderr
    assert "W242" in done.stderr
    assert "ZeroDivisionError" in done.stderr
