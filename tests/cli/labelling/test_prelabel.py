import json
from pathlib import Path

import pytest


@pytest.mark.heavy
def test_the_share_that_is_left_open_is_told(run_cli, tiny_run: Path, tiny_data: Path, tmp_path: Path):
    photos, output = tiny_data / "images" / "test", tmp_path / "out"
    code, stdout, _ = run_cli(["prelabel", tiny_run, photos, "-o", output, "--sure", "1"])
    assert code == 0
    assert "3 images, 3 ok, 0 failed" in stdout
    assert "% of the pixels left open: the probability of their class is below 1" in stdout
    assert "what to correct first:" in stdout
    assert f"pixelwise ui --data {output} --edit" in stdout
    code, stdout, _ = run_cli(["prelabel", tiny_run, photos, "-o", output, "--sure", "0", "--json"])
    found = json.loads(stdout)
    assert (code, found["kept"], found["predicted"]["ok"]) == (0, found["pixels"], 3)


def test_settings_alone_are_no_images(run_cli, tmp_path: Path):
    code, _, stderr = run_cli(["prelabel", tmp_path, "data.input_range=[0,1]"])
    assert code == 2
    assert "give at least one file" in stderr
