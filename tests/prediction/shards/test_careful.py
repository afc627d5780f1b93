from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from pixelwise.errors import DataError
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.receipts.created import PATIENCE
from pixelwise.prediction.receipts.jobs import job_of
from pixelwise.prediction.shards.careful import predict_carefully
from pixelwise.prediction.shards.commits import Commits
from pixelwise.prediction.shards.units import find_units
from pixelwise.prediction.shards.work import Job, load_for, predict_shard

KILLER = """
import os, signal, sys
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("deadly.png"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""


@pytest.fixture
def photos(tiny_data: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b", "deadly", "x", "y"):
        Image.new("RGB", (16, 16), (ord(name[0]), 9, 9)).save(folder / f"{name}.png")
    return folder


def job_for(run: Path, output: Path, *, strict: bool = False) -> Job:
    chosen = PredictOptions(tars=True, overlay=False, strict=strict)
    job = Job("", run, chosen, output)
    return job._replace(name=job_of(load_for(job).given, chosen))


@pytest.mark.heavy  # seven processes that import PyTorch
def test_an_image_that_ends_the_process_is_found_and_the_others_are_predicted(
    tiny_run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'killer'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    job = job_for(tiny_run, tmp_path / "out")
    commits = Commits(job.output, job.name)
    (unit,) = find_units([photos]).units
    for _ in range(PATIENCE):
        commits.attempt(unit.name)

    receipt = predict_shard(unit, load_for(job), commits, job)

    problems = {image.name: image.problem and image.problem.code for image in receipt.images}
    assert problems == {"a": None, "b": None, "deadly": "D136", "x": None, "y": None}
    assert all(image.files for image in receipt.images if image.name != "deadly")
    assert not list((job.output / "attempts").rglob("*.*"))


@pytest.mark.heavy
def test_carefully_is_the_same_as_otherwise_errors_included(tiny_run: Path, photos: Path, tmp_path: Path):
    (photos / "bad.png").write_bytes(b"no image")
    (unit,) = find_units([photos]).units
    receipts = []
    for attempts, name in ((0, "one"), (PATIENCE, "two")):
        job = job_for(tiny_run, tmp_path / name)
        commits = Commits(job.output, job.name)
        for _ in range(attempts):
            commits.attempt(unit.name)
        receipts.append(predict_shard(unit, load_for(job), commits, job))
    assert receipts[0] == receipts[1]
    strict = job_for(tiny_run, tmp_path / "strict", strict=True)
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(DataError) as caught:
        list(predict_carefully(unit.pictures, strict, folder))
    assert caught.value.code == "D102"
