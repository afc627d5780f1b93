import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pixelwise
from pixelwise.errors import CheckpointError, DataError, PixelwiseError, RecipeError, RunLockedError, StoppedError
from pixelwise.observer import Observer, TrainingStatus
from pixelwise.recipes.files import find
from pixelwise.records.environment import read_environment
from pixelwise.records.run_folder import is_run
from pixelwise.records.seeds.folder import read_seeds, record, write_seeds
from pixelwise.storage.locks import run_lock
from pixelwise.training.options import TrainOptions

SHORT = ("schedule.epochs=1", "selection.every_epochs=0", "selection.weights=last")


class Stopping(Observer):
    """Stops the training of a seed after a number of steps."""

    def __init__(self, seed: int, step: int) -> None:
        self.here, self.seed, self.last = False, f"seed {seed}", step

    def note(self, text: str) -> None:
        self.here = text.startswith(self.seed)

    def step(self, status: TrainingStatus) -> None:
        if self.here and status.step >= self.last:
            raise StoppedError("T502", "stopped", "resume it")


def weights(run: Path) -> bytes:
    return sorted(run.glob("checkpoints/*/model.safetensors"))[-1].read_bytes()


@pytest.mark.heavy
def test_what_was_interrupted_is_finished_and_equals_single_runs(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(StoppedError) as stopped:
        pixelwise.train(
            str(tiny_recipe), tiny_data, out, seeds=[4, 2], threads=1, overrides=SHORT, observer=Stopping(2, 1)
        )
    assert stopped.value.help == f"continue with: pixelwise resume {out}"
    assert not (out / "summary.json").exists()
    first = {path: path.stat().st_mtime_ns for path in (out / "seed-4").rglob("*") if path.is_file()}
    found = pixelwise.resume(out)
    assert isinstance(found, pixelwise.SeedRuns)
    assert [run.recipe.sampling.seed for run in found.runs] == [4, 2]
    assert first == {path: path.stat().st_mtime_ns for path in (out / "seed-4").rglob("*") if path.is_file()}
    alone = pixelwise.train(str(tiny_recipe), tiny_data, tmp_path / "two", seed=2, threads=1, overrides=SHORT)
    assert weights(out / "seed-2") == weights(alone)
    assert found.summary.sides[0].seeds == (4, 2)
    assert (out / "report.html").is_file()
    scored: Any = pixelwise.evaluate(out, split="train")
    assert [one.split for one in scored] == ["train", "train"]
    assert pixelwise.write_report(out) == out / "report.html"


def test_all_runs_are_told_where_the_data_was_moved(tiny_run: Path, tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    out, moved = tmp_path / "out", shutil.copytree(tiny_data, tmp_path / "moved")
    for seed in (0, 1):
        shutil.copytree(tiny_run, out / f"seed-{seed}")
    write_seeds(out, record(find(tiny_recipe), (0, 1), [], str(tiny_data), {}))
    pixelwise.resume(out, data=moved, evaluate=False)
    folders = {read_environment(out / f"seed-{seed}").data_folder for seed in (0, 1)}
    assert (folders, read_seeds(out).data) == ({moved}, str(moved))


@pytest.mark.heavy
def test_the_others_take_the_plan_of_the_first(tiny_data: Path, tmp_path: Path):
    out = tmp_path / "out"
    overrides = ("model.encoder=resnet10t", "initialize.encoder=none", "augment.crop=[32,32]", "sampling.batch_size=4")
    found = pixelwise.train("unet", tiny_data, out, seeds=2, minutes=0.2, threads=1, overrides=overrides)
    recipes = [run.recipe for run in found.runs]
    assert pixelwise.apply_overrides(recipes[0], ["sampling.seed=1"]) == recipes[1]
    assert len(found.summary.sides) == 1


def refused(call: Callable[[], object]) -> PixelwiseError:
    with pytest.raises(PixelwiseError) as caught:
        call()
    return caught.value


def test_what_is_no_set_of_seeds_is_refused(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    assert TrainOptions(seeds=(3,)).several_seeds() == (0, 1, 2)
    assert TrainOptions(seeds=(3, 7)).several_seeds() == (3, 7)
    assert TrainOptions().several_seeds() == ()
    wrong: list[dict[str, Any]] = [
        {"seeds": 1}, {"seeds": 0}, {"seeds": [4, 4]}, {"seeds": [3, 3, 4]}, {"seeds": 2, "seed": 3},
        {"seeds": 2, "overrides": ["sampling.seed=3"]},
    ]  # fmt: skip
    for changes in wrong:
        out = tmp_path / "out"
        error = refused(lambda out=out, changes=changes: pixelwise.train(str(tiny_recipe), tiny_data, out, **changes))
        assert isinstance(error, RecipeError)
        assert error.code == "R305"
        assert not out.exists()
    with pytest.raises(RecipeError):
        TrainOptions(seeds=(-1, 2))


def test_nothing_is_left_of_runs_that_cannot_begin(tiny_recipe: Path, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    assert isinstance(refused(lambda: pixelwise.train(str(tiny_recipe), empty, out, seeds=2)), DataError)
    assert not (out / "seeds.json").exists()


def test_a_folder_in_use_or_with_changes_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_seeds(tmp_path, record(pixelwise.recipe("unet"), (0, 1), [], None, {}))
    assert refused(lambda: pixelwise.resume(tmp_path, epochs=9)).code == "R307"
    assert refused(lambda: pixelwise.train("unet", tmp_path, tmp_path, seeds=2)).code == "R213"
    with run_lock(tmp_path):
        assert isinstance(refused(lambda: pixelwise.resume(tmp_path)), RunLockedError)
    assert isinstance(refused(lambda: pixelwise.evaluate(tmp_path)), CheckpointError)
    assert not is_run(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert refused(lambda: pixelwise.resume(tmp_path)).code == "R306"


def test_a_seed_that_is_named_twice_is_no_number_of_seeds(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    out = tmp_path / "out"
    found = run_cli(["train", "unet", "--data", tiny_data, "--seeds", "3,3", "-o", out])
    assert (found.code, "R305" in found.stderr, out.exists()) == (2, True, False)
    assert "--seeds is 3,3, which has 3 twice" in found.stderr
