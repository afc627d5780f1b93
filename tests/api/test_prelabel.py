import json
from pathlib import Path

import pytest

import pixelwise

pytestmark = pytest.mark.heavy


def test_a_run_makes_a_data_set_that_can_be_checked(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    summary = pixelwise.prelabel(tiny_run, tiny_data / "images" / "train", tmp_path / "out", sure=0.5)
    assert (summary.predicted.ok, summary.queued) == (8, 8)
    assert summary.pixels == 8 * 48 * 64
    checked = pixelwise.check(tmp_path / "out")
    # A network of a few steps may predict one class alone, which is refused as labels, but every value is known.
    assert {found.code for found in checked.audit.findings if found.code[0] == "D"} <= {"D263"}
    assert len(json.loads((tmp_path / "out" / "queue.json").read_text())["images"]) == 8
