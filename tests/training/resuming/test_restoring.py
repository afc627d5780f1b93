"""A run resumed with another length says so, in its log, its folder, its result and its report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from observers import Told

from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.evaluation.runs import origin_of
from pixelwise.records.environment import Arguments, Environment
from pixelwise.records.history import read_history
from pixelwise.records.log import WarningRecord, read_log
from pixelwise.records.run_folder import read_recipe
from pixelwise.reports.run.page import write_report
from pixelwise.training.options import ResumeOptions
from pixelwise.training.resuming.restoring import continued
from pixelwise.training.runs import resume


@pytest.mark.heavy
def test_a_longer_run_is_another_experiment_and_says_so(tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    said: list[tuple[str, str]] = []
    observer = Told(warn=lambda code, message: said.append((code, message)))
    resume(run, overrides=["schedule.iterations=18", "data.workers=0"], observer=observer)
    (part,) = read_history(run).parts
    assert (part.until, part.overrides) == (16, ("schedule.iterations=18",))
    rates = [json.loads(line)["lr"] for line in (run / "log.jsonl").read_text("utf-8").splitlines() if '"lr"' in line]
    assert part.lr == (rates[15], rates[16])
    assert [code for code, _ in said] == ["W510"]
    assert "resumed at step 16 with schedule.iterations=18 (was 16): the learning rate goes from" in said[0][1]
    assert [record.message for record in read_log(run).of(WarningRecord)] == [said[0][1]]
    trained = load_trained(run)
    assert origin_of(trained).recipe_hash == trained.recipe_hash
    assert trained.recipe_hash not in (read_recipe(run).hash(), read_recipe(tiny_run).hash())
    # Resumed once more, nothing changes and nothing is said again.
    resume(run, observer=observer)
    assert len(said) == 1
    assert read_history(run).parts == (part,)
    page = write_report(run).read_text("utf-8")
    assert trained.recipe_hash[:16] in page
    assert "<dd>resumed at step 16 with schedule.iterations=18 (was 16): the learning rate goes from" in page
    assert "schedule.iterations=18</" in page  # the command


@pytest.mark.heavy
def test_what_makes_no_difference_leaves_no_trace(tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints")
    said: list[str] = []
    # Nothing has been trained yet.
    resume(run, overrides=["schedule.iterations=4"], observer=Told(warn=lambda code, _: said.append(code)))
    assert not (run / "history.json").exists()
    assert load_trained(run).recipe_hash == read_recipe(run).hash()
    assert "W510" not in said


def edited(run: Path, before: str, after: str) -> None:
    """Change the recipe in the run folder by hand."""
    text = (run / "recipe.toml").read_text("utf-8")
    assert before in text
    (run / "recipe.toml").write_text(text.replace(before, after), encoding="utf-8", newline="\n")


@pytest.mark.heavy
def test_a_recipe_that_was_edited_by_hand_is_a_change_like_any_other(tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    edited(run, "iterations = 16", "iterations = 18")
    resume(run)
    (part,) = read_history(run).parts
    assert part.in_words.startswith("resumed at step 16 with schedule.iterations=18 (was 16)")
    edited(run, "lr = 0.005", "lr = 0.05")
    with pytest.raises(CheckpointError, match=r"optimizer\.lr: 0\.005 -> 0\.05") as caught:
        resume(run)
    assert caught.value.code == "K430"


def test_weights_stay_divided_unless_it_is_said():
    environment = Environment(arguments=Arguments(device="cpu", shard="always"))
    assert continued(environment, ResumeOptions()).arguments.shard == "always"
    assert continued(environment, ResumeOptions(shard="never")).arguments.shard == "never"
