"""`pixelwise.predict`: from a run folder to masks, by a struct of options or by keywords."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from observers import Told
from PIL import Image

import pixelwise
from pixelwise.errors import DataError, RecipeError, RunLockedError
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.receipts.ledger import RECEIPTS
from pixelwise.storage.locks import writing_alone


@pytest.mark.heavy
def test_masks_are_what_the_loaded_run_predicts(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    summary = pixelwise.predict(tiny_run, tiny_data / "images" / "test", tmp_path / "out")

    assert (summary.ok, summary.failed, summary.problems) == (3, 0, ())
    for name in ("00", "01", "02"):
        expected = pixelwise.load(tiny_run).predict(tiny_data / "images" / "test" / f"{name}.png").labels
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / f"{name}.png")), expected)
        assert (tmp_path / "out" / "overlays" / f"{name}.jpg").is_file()


@pytest.mark.heavy
def test_a_struct_and_keywords_mean_the_same_and_keywords_win(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    images = [tiny_data / "images" / "test" / "00.png", str(tiny_data / "images" / "test" / "01.png")]
    pixelwise.predict(tiny_run, images, tmp_path / "a", PredictOptions(overlay=False, window=(32, 48)))
    pixelwise.predict(tiny_run, images, tmp_path / "b", overlay=False, window=(32, 48))
    pixelwise.predict(tiny_run, images, tmp_path / "c", PredictOptions(overlay=False), overlay=True)

    for name in ("00", "01"):
        one, other = ((tmp_path / folder / "masks" / f"{name}.png").read_bytes() for folder in "ab")
        assert one == other
    assert [(tmp_path / folder / "overlays").exists() for folder in "abc"] == [False, False, True]


@pytest.mark.heavy
def test_every_file_is_told_and_a_bad_one_is_skipped_or_raised(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes((tiny_data / "images" / "test" / "00.png").read_bytes())
    (photos / "b.png").write_bytes(b"not an image")
    told: list[tuple[str, int, int | None]] = []
    observer = Told(progress=lambda *progress: told.append(progress))

    summary = pixelwise.predict(tiny_run, photos, tmp_path / "out", observer=observer)

    assert (summary.ok, summary.failed) == (1, 1)
    assert told == [("predicting", 1, 2), ("predicting", 2, 2)]
    with pytest.raises(DataError) as caught:
        pixelwise.predict(tiny_run, photos, tmp_path / "strict", strict=True)
    assert caught.value.code == summary.problems[0].code


def test_an_unknown_option_is_named(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    with pytest.raises(TypeError, match="overlay"):
        pixelwise.predict(tiny_run, tiny_data, tmp_path / "out", overlays=False)
    with pytest.raises(RecipeError) as caught:
        pixelwise.predict(tiny_run, tiny_data, tmp_path / "out", alpha=2)
    assert caught.value.code == "R260"
    assert not (tmp_path / "out").exists()


def many(folder: Path, tiny_data: Path, count: int) -> Path:
    folder.mkdir()
    content = [(tiny_data / "images" / "test" / f"{number:02d}.png").read_bytes() for number in range(3)]
    for number in range(count):
        (folder / f"{number:04d}.png").write_bytes(content[number % 3])
    return folder


def files_of(output: Path) -> dict[str, bytes]:
    paths = (path for path in output.rglob("*") if path.is_file() and RECEIPTS not in path.parts)
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.heavy
def test_a_second_call_keeps_what_the_first_has_done(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    photos, output = many(tmp_path / "photos", tiny_data, 5), tmp_path / "out"
    (photos / "bad.png").write_bytes(b"not an image")
    first = pixelwise.predict(tiny_run, photos, output)
    before = files_of(output)
    (photos / "0007.png").write_bytes((photos / "0001.png").read_bytes())
    (output / "masks" / "0002.png").write_bytes(b"overwritten")
    told: list[tuple[str, int, int | None]] = []

    second = pixelwise.predict(tiny_run, photos, output, observer=Told(progress=lambda *facts: told.append(facts)))

    assert (first.ok, first.kept, first.failed) == (5, 0, 1)
    assert (second.ok, second.failed) == (6, 1)
    assert second.kept == 4
    assert second.problems == first.problems
    assert told[-1] == ("predicting", 7, 7)
    assert {name: content for name, content in files_of(output).items() if "0007" not in name} == before
    assert pixelwise.predict(tiny_run, photos, output, overlay=False).kept == 0
    assert pixelwise.predict(tiny_run, photos, output, overlay=False).kept == 6
    assert pixelwise.predict(tiny_run, photos, output, overlay=False, again=True).kept == 0


@pytest.mark.heavy
def test_a_prediction_that_is_killed_goes_on_where_it_was(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    photos, output = many(tmp_path / "photos", tiny_data, 400), tmp_path / "out"
    command = [sys.executable, "-m", "pixelwise", "predict", tiny_run, photos, "-o", output, "-q", "--no-overlay"]
    started = subprocess.Popen(command)
    while not any(output.glob(f"{RECEIPTS}/*/*.json")):
        assert started.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    left = len(files_of(output))

    summary = pixelwise.predict(tiny_run, photos, output, overlay=False)

    pixelwise.predict(tiny_run, photos, tmp_path / "undisturbed", overlay=False)
    assert (summary.ok, summary.failed) == (400, 0)
    assert 0 < summary.kept < 400
    assert left - summary.kept < 140  # one unit, and what was being written
    assert files_of(output) == files_of(tmp_path / "undisturbed")


@pytest.mark.heavy
def test_parts_of_an_array_are_together_what_one_call_predicts(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, run_cli: Callable
):
    photos, output = many(tmp_path / "photos", tiny_data, 11), tmp_path / "out"
    (photos / "0004.png").write_bytes(b"not an image")
    whole = pixelwise.predict(tiny_run, photos, tmp_path / "whole")

    codes = []
    for number in range(3):
        code, stdout, _ = run_cli(["predict", tiny_run, photos, "-o", output, "--shard", f"{number}/3"])
        codes.append(code)
        assert f"{(3, 4, 4)[number]} images" in stdout
        if code:
            assert "problems-1-of-3.jsonl" in stdout

    assert codes == [0, 3, 0]
    found, expected = files_of(output), files_of(tmp_path / "whole")
    assert found.pop("problems-1-of-3.jsonl") == expected.pop("problems.jsonl")
    assert found == expected
    last = pixelwise.predict(tiny_run, photos, output)
    assert (last.ok, last.kept, last.failed) == (whole.ok, 10, 1)


@pytest.mark.heavy
def test_parts_share_an_output_and_a_whole_prediction_does_not(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    photos, output = many(tmp_path / "photos", tiny_data, 4), tmp_path / "out"
    with writing_alone(output, shared=True):
        assert pixelwise.predict(tiny_run, photos, output, shard="0/2").ok == 2
        with pytest.raises(RunLockedError):
            pixelwise.predict(tiny_run, photos, output)
    with writing_alone(output), pytest.raises(RunLockedError):
        pixelwise.predict(tiny_run, photos, output, shard="1/2")
    assert pixelwise.predict(tiny_run, photos, output, shard="1/2").ok == 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("options", "code"), [({"shard": "3/3"}, "R260"), ({"shard": "0/3", "polygons": "coco"}, "R251")]
)
def test_a_part_that_does_not_exist_is_refused(
    options: dict, code: str, tiny_run: Path, tiny_data: Path, tmp_path: Path
):
    with pytest.raises(RecipeError) as caught:
        pixelwise.predict(tiny_run, tiny_data, tmp_path / "out", **options)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="runs a script of bash")
def test_the_array_of_the_documentation_predicts_all_images(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    photos, output = many(tmp_path / "photos", tiny_data, 5), tmp_path / "out"
    script = Path(__file__).resolve().parents[2] / "docs" / "cluster" / "predict.sbatch"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for number in (1, 2):
        array = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
        words = ["bash", script, tiny_run, photos, output, "--no-overlay"]
        subprocess.run(words, env=os.environ | array | {"PATH": path}, check=True, capture_output=True)
    assert sorted(files_of(output)) == ["classes.json", *(f"masks/{number:04d}.png" for number in range(5))]
