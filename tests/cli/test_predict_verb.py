"""`pixelwise predict`: masks and overlays from the command line."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_predict_through_windows(run_cli: Callable, run: Path, tiny_data: Path, tmp_path: Path):
    arguments = ["predict", run, tiny_data / "images" / "test", "--output", tmp_path / "out"]
    assert run_cli([*arguments, "--window", "48x32"]).code == 0
    refused = run_cli([*arguments, "--window", "48"])
    assert refused.code == 2
    assert "error[R223]: '48'" in refused.stderr
    refused = run_cli([*arguments, "--format", "voc"])
    assert refused.code == 2
    assert "error[R222]" in refused.stderr


def test_predict_counts_and_points_to_the_output(run_cli: Callable, run: Path, tiny_data: Path, tmp_path: Path):
    output = tmp_path / "out"
    code, stdout, _ = run_cli(["predict", run, tiny_data / "images" / "test", "--output", output])
    assert code == 0
    assert "3 images, 3 ok, 0 failed" in stdout
    assert len(list((output / "masks").rglob("*.png"))) == 3


@pytest.mark.heavy
def test_a_bad_file_is_printed_with_a_way_out_that_predict_takes(run_cli: Callable, run: Path, tmp_path: Path):
    deep = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.new("RGB", (12000, 9000)).save(tmp_path / "large.png", compress_level=1)
    for name in ("deep.png", "large.png"):
        failed = run_cli(["predict", run, tmp_path / name, "--output", tmp_path / "out"])
        problem = json.loads((tmp_path / "out" / "problems.jsonl").read_text())
        assert failed.code == 3
        assert f"error[{problem['code']}]: " in failed.stdout
        fix = re.search(r"data\.\w+=(\[[^\]]*\]|\d+)", failed.stdout)
        assert fix is not None
        if name == "deep.png":  # the other one takes long, and is only refused by its size
            assert run_cli(["predict", run, tmp_path / name, fix[0], "--output", tmp_path / "out"]).code == 0
        else:
            assert fix[0] == "data.max_pixels=108000000"


def test_settings_alone_are_not_enough(run_cli: Callable, run: Path, tmp_path: Path):
    refused = run_cli(["predict", run, "data.exif=ignore", "--output", tmp_path / "out"])
    assert refused.code == 2
    assert "no image" in refused.stderr
    refused = run_cli(["predict", run, tmp_path, "data.label_map={0=1}", "--output", tmp_path / "out"])
    assert "error[R285]" in refused.stderr
