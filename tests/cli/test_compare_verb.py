import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compared_runs import drawn, scored_run

TRUTH = np.full((20, 3), 100)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        scored_run(
            tmp_path / name, drawn(np.random.default_rng(0), TRUTH, np.full(3, accuracy)),
            overrides=(f"optimizer.lr={accuracy}",),
        )
        for name, accuracy in (("a", 0.6), ("b", 0.9))
    ]  # fmt: skip


def test_a_table_json_and_a_file(runs: list[Path], run_cli: Callable, tmp_path: Path):
    code, stdout, _ = run_cli(["compare", *runs], env={"COLUMNS": "80"})
    assert code == 0
    assert "b is better than a: mIoU +" in stdout
    assert max(map(len, stdout.splitlines())) <= 80
    code, stdout, _ = run_cli(["compare", *runs, "--json"])
    assert json.loads(stdout)["pairs"][0]["first"] == "a"
    code, stdout, _ = run_cli(["compare", *runs, "--format", "csv"])
    assert stdout.startswith("kind,first,second,")
    code, stdout, _ = run_cli(["compare", *runs, "-o", tmp_path / "x.html"])
    assert (code, stdout.strip()) == (0, str(tmp_path / "x.html"))


def test_errors_name_flags_and_the_way_out(runs: list[Path], run_cli: Callable):
    code, _, stderr = run_cli(["compare", *runs, "--split", "test"])
    assert code == 2
    assert f"pixelwise evaluate {runs[0]} --split test --protocol native" in stderr
    code, _, stderr = run_cli(["compare", runs[0]])
    assert code == 2
    assert "error[R300]" in stderr
