import copy
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pixelwise
from pixelwise.api.run import Run
from pixelwise.errors import CheckpointError, DataError
from pixelwise.records.advice import advice
from pixelwise.records.evaluations import EVALUATIONS


@pytest.fixture(scope="module")
def scored(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("scored") / "tiny"
    shutil.copytree(tiny_run, folder)
    pixelwise.evaluate(folder)
    return Run(folder)


def test_a_run_is_a_path_and_what_is_in_it_are_ordinary_paths(scored: Run):
    folder = Path(str(scored))
    assert isinstance(scored, Path)
    assert scored == folder
    assert hash(scored) == hash(folder)
    assert os.fspath(scored) == str(folder)
    assert (scored.name, scored.is_dir()) == ("tiny", True)
    for path in (scored / "log.jsonl", scored.parent, scored.with_name("x"), *scored.iterdir()):
        assert not isinstance(path, Run), path
    assert isinstance(scored.resolve(), Path)


def test_a_run_survives_pickling_and_copying(scored: Run):
    for again in (pickle.loads(pickle.dumps(scored)), copy.deepcopy(scored)):
        assert isinstance(again, Run)
        assert again == scored


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        Run(tmp_path / "nowhere")
    assert caught.value.code == "K420"
    assert "does not exist" in caught.value.message


def test_what_a_run_has_produced(scored: Run):
    assert scored.recipe.name == "tiny"
    assert scored.result.images == len(scored.result.per_image) == 3
    assert all(len(image.iou) == 3 for image in scored.result.per_image)
    assert scored.log.classes == ("ground", "box", "ball")
    assert len(scored.log) > 16
    assert scored.report == scored / "report.html"


def test_one_line_and_a_table(scored: Run, tmp_path: Path):
    percent = f"{100 * scored.result.miou:.2f}"
    assert repr(scored) == f"<Run {scored}; tiny finished; mIoU {percent} % on test (native)>"
    page = scored._repr_html_()
    assert all(name in page for name in ("ball", percent, "report.html"))
    damaged = Run(shutil.copytree(scored, tmp_path / "damaged"))
    (damaged / "recipe.toml").write_text("?")
    assert repr(damaged) == f"<Run {damaged}; damaged>"


def test_a_run_says_what_to_do_next(scored: Run, tmp_path: Path):
    assert scored.advice == advice(scored.recipe, scored.log, scored.result)
    unfinished = Run(shutil.copytree(scored, tmp_path / "run"))
    lines = (unfinished / "log.jsonl").read_text("utf-8").splitlines()
    (unfinished / "log.jsonl").write_text("\n".join(line for line in lines if '"finished"' not in line) + "\n", "utf-8")
    assert unfinished.advice == []
    assert "not finished" in repr(unfinished)


@pytest.mark.heavy
def test_a_run_without_a_score_says_how_to_get_one(scored: Run, tmp_path: Path):
    run = Run(shutil.copytree(scored, tmp_path / "run"))
    shutil.rmtree(run / EVALUATIONS)
    run.report.unlink()
    assert "not scored" in repr(run)
    assert "report.html" not in run._repr_html_()
    with pytest.raises(DataError) as caught:
        run.result  # noqa: B018
    assert caught.value.code == "D240"
    assert run.report.is_file()  # written when it is asked for
    assert run.evaluate(boundary=False).miou == run.result.miou == scored.result.miou


def test_the_network_is_loaded_once_and_again_after_more_training(scored: Run, tmp_path: Path):
    run = Run(shutil.copytree(scored, tmp_path / "run"))
    one, other = run.predict([np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 200, np.uint8)])
    assert one.classes == ("ground", "box", "ball")
    assert other.labels.shape == (48, 64)
    first = run._segmenter()
    assert run._segmenter() is first
    newest = max((run / "checkpoints").iterdir())
    newest.rename(newest.with_name("step-00000099"))
    assert run._segmenter() is not first


def test_a_run_equals_itself_in_every_class_and_image(scored: Run):
    found = scored.compare(str(scored))
    assert (found.miou, found.better, found.worse, found.recipe) == (0, 0, 0, ())


def test_a_run_is_read_without_torch(scored: Run):
    script = (
        "import sys, pixelwise; run = pixelwise.Run(sys.argv[1]); repr(run), run.result, run.log, run._repr_html_(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script, scored], check=False).returncode == 0


@pytest.mark.heavy
def test_training_and_resuming_give_runs(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    short = {"schedule.iterations": 1, "selection.every_epochs": 0, "selection.weights": "last"}
    run = pixelwise.train(tiny_recipe, tiny_data, tmp_path / "run", overrides=short, threads=1, evaluate=False)
    assert isinstance(run, Run)
    assert isinstance(pixelwise.resume(run, evaluate=False), Run)
