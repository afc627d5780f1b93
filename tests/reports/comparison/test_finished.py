import json
from pathlib import Path

import numpy as np
import pytest
from compared_runs import drawn, scored_run

import pixelwise
from pixelwise.api.several.seed_runs import write_summary
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import Unfinished, load_result
from pixelwise.records.seeds.folder import record, run_of, runs_within, write_seeds
from pixelwise.reports.comparison.finished import print_finished, show_scored

TRUTH = np.full((20, 3), 100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_seeds(tmp_path, record(pixelwise.recipe("unet"), (0, 1), [], None, {}))
    for seed in range(2):
        matrices = drawn(np.random.default_rng(seed), TRUTH, np.array([0.9, 0.8, 0.7]))
        scored_run(run_of(tmp_path, seed), matrices, seed)
    return tmp_path


def test_the_summary_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]):
    print_finished(folder, scored=True)
    assert "trained. Score it with: pixelwise evaluate" in capsys.readouterr().out
    write_summary(folder)
    print_finished(folder, scored=True)
    assert "over 2 runs" in capsys.readouterr().out
    print_finished(folder, scored=True, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert [Path(run).name for run in content["runs"]] == ["seed-0", "seed-1"]
    assert content["summary"]["sides"][0]["seeds"] == [0, 1]


def test_the_results_of_each(folder: Path, capsys: pytest.CaptureFixture[str]):
    runs = runs_within(folder)
    results = [load_result(evaluation_folder(run, "val", "native")) for run in runs]
    show_scored(results, folder, as_json=True)
    assert [one["miou"] for one in json.loads(capsys.readouterr().out)] == [one.miou for one in results]
    write_summary(folder)
    show_scored([[results[0]], Unfinished(split="val", done=1, images=20)], folder)
    said = capsys.readouterr().out
    assert "of all 20 images of val, 1 are scored" in said
    assert f"summary  {folder}" in said.replace("\n", " ").replace("  ", "  ")
