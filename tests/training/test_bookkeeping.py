"""Bookkeeping of a run on hand-made steps and scores; whole runs are in test_runs.py and test_stages.py."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import safetensors
import torch
from observers import Told

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import DivergedError
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord, FinishedRecord, SkippedRecord, StepRecord, WarningRecord, read_log
from pixelwise.training.batches import Batch
from pixelwise.training.bookkeeping import Books, out_of_patience
from pixelwise.training.log import RunLog
from pixelwise.training.state import Progress, begin_state
from pixelwise.training.step import Outcome
from pixelwise.training.trackers.tracker import TrackedRun

CHANGES = (
    "sampling.batch_size=2", "schedule.epochs=3", "selection.every_epochs=1", "checkpoints.every_steps=3",
    "checkpoints.every_minutes=1000",
)  # fmt: skip


def books(folder: Path, *changes: str, said: list[str] | None = None, done: Progress | None = None) -> Books:
    """The books of a run of three epochs of four steps, on eight images."""
    recipe = apply_overrides(find_recipe("town-demo"), [*CHANGES, *changes])
    state = begin_state(build_model(recipe, 2), recipe, torch.device("cpu"))
    state.progress = done or state.progress
    run = TrackedRun(
        folder=folder, recipe=recipe, environment=Environment(), data=DataFacts(), steps=12, done=state.progress.step
    )
    made = Books(
        recipe, state, RunLog(run, Told(warn=lambda code, message: said is not None and said.append(code))), images=8
    )
    made.begin()
    return made


def outcome(kind: str = "done", loss: float = 1.0) -> Outcome:
    return Outcome(kind, torch.tensor(loss), torch.tensor(2.0))


def batch() -> list[Batch]:
    images = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    return [Batch(images, images[..., 0].clone(), None, ["a", "b"])]


def score(step: int, miou: float | None) -> EvaluationRecord:
    return EvaluationRecord(step=step, split="val", protocol="native", miou=miou)


def test_when_to_evaluate_and_when_to_save(tmp_path: Path):
    made = books(tmp_path)
    assert (made.per_epoch, made.steps) == (4, 12)
    due = {}
    for step in range(1, 13):
        made.took(0.1, outcome(), batch())
        due[step] = (made.evaluation_due(), made.save_due(made.late()))
        if made.evaluation_due():
            made.progress.evaluated_step = step
    # An evaluation saves, too, so steps 4, 8 and 12 are not saved twice.
    assert [step for step, (evaluate, _) in due.items() if evaluate] == [4, 8, 12]
    assert [step for step, (_, save) in due.items() if save] == [3, 6, 9]
    assert made.at_end()


def test_without_evaluations_the_last_step_is_saved(tmp_path: Path):
    made = books(tmp_path, "selection.every_epochs=0", "selection.weights=last", "checkpoints.every_steps=100")
    made.progress.step = 11
    assert not made.save_due(made.late())
    made.progress.step = 12
    assert made.save_due(made.late())
    assert not made.evaluation_due()


def test_steps_are_logged_with_their_epoch_and_those_that_changed_nothing_are_counted(tmp_path: Path):
    made = books(tmp_path)
    for kind, loss in (("done", 1.5), ("void", 0.0), ("bad", math.nan), ("done", 0.5), ("done", 0.25)):
        made.took(0.1, outcome(kind, loss), batch())
    made.save()
    log = read_log(tmp_path)
    assert [(record.step, record.epoch, record.loss) for record in log.of(StepRecord)] == [
        (1, 1, 1.5), (4, 1, 0.5), (5, 2, 0.25),
    ]  # fmt: skip
    assert [(record.step, record.images) for record in log.of(SkippedRecord)] == [(2, ("a", "b")), (3, ("a", "b"))]
    assert [record.code for record in log.of(WarningRecord)] == ["W501"]
    assert (made.progress.void, made.progress.skipped, made.progress.bad_in_a_row) == (1, 1, 0)


def test_five_bad_steps_in_a_row_end_the_run_with_their_batch(tmp_path: Path):
    made = books(tmp_path)
    for _ in range(4):
        made.took(0.1, outcome("bad", math.inf), batch())
    with pytest.raises(DivergedError) as caught:
        made.took(0.1, outcome("bad", math.inf), batch())
    assert (caught.value.code, caught.value.exit_code) == ("T501", 5)
    with safetensors.safe_open(tmp_path / "bad_batch.safetensors", "pt") as file:
        assert set(file.keys()) == {"0.images", "0.labels"}
        assert file.metadata() == {"ids": '["a","b"]'}


def test_a_good_step_in_between_begins_the_count_anew(tmp_path: Path):
    made = books(tmp_path)
    for _ in range(2):
        for _ in range(4):
            made.took(0.1, outcome("bad", math.nan), batch())
        made.took(0.1, outcome(), batch())
    assert (made.progress.skipped, made.progress.bad_in_a_row) == (8, 0)


def test_the_best_score_and_the_last_improvement_are_remembered(tmp_path: Path):
    made = books(tmp_path, "selection.patience=2", "selection.min_delta=5")
    for step, miou in ((4, 0.5), (8, 0.52), (12, 0.51)):
        made.progress.step = step
        made.evaluated(score(step, miou))
    progress = made.progress
    assert (progress.best_miou, progress.best_step) == (0.52, 8)
    assert (progress.improved_miou, progress.stale_evaluations) == (0.5, 2)
    newest = newest_checkpoint(tmp_path / "checkpoints")
    assert newest is not None
    assert newest.manifest.miou == 0.51


def test_an_observer_is_told_every_score_so_far_even_those_before_a_resume(tmp_path: Path):
    made = books(tmp_path)
    for step, miou in ((4, 0.5), (8, None)):
        made.progress.step = step
        made.evaluated(score(step, miou))
    told = made.score()
    assert (told.step, told.steps, told.epoch, told.epochs, told.split) == (8, 12, 2, 3, "val")
    assert (told.mious, told.best_miou) == ((0.5, None), 0.5)
    again = books(tmp_path, done=made.progress)
    again.progress.step = 12
    again.evaluated(score(12, 0.4))
    assert (again.score().mious, again.score().best_miou) == ((0.5, None, 0.4), 0.5)


def test_an_evaluation_without_labelled_pixels_is_no_score(tmp_path: Path):
    made = books(tmp_path, "selection.patience=2")
    for step, miou in ((4, None), (8, 0.3), (12, None)):
        made.progress.step = step
        made.evaluated(score(step, miou))
        assert made.status(0.1).miou == miou
    progress = made.progress
    assert (progress.best_miou, progress.best_step, progress.improved_miou) == (0.3, 8, 0.3)
    assert (progress.stale_evaluations, progress.longest_stale) == (1, 1)


def test_the_status_of_the_last_step_has_its_own_loss(tmp_path: Path):
    made = books(tmp_path)
    for step in range(1, 13):
        made.took(0.1, outcome(loss=float(step)), batch())
    assert made.status(0.1).loss == 12.0


def test_an_early_end_is_a_warning(tmp_path: Path):
    said: list[str] = []
    made = books(tmp_path, "selection.patience=1", said=said)
    made.progress.step, made.progress.stale_evaluations, made.progress.improved_miou = 8, 1, 0.5
    assert made.at_end()
    made.end()
    assert said == ["W502"]
    assert [record.step for record in read_log(tmp_path).of(FinishedRecord)] == [8]


def test_the_status_is_that_of_the_step(tmp_path: Path):
    made = books(tmp_path)
    for _ in range(5):
        made.took(0.1, outcome(loss=0.75), batch())
    made.log.flush()
    status = made.status(0.1)
    assert (status.step, status.steps, status.epoch, status.epochs) == (5, 12, 2, 3)
    assert (status.loss, status.lr, status.images_per_second, status.miou) == (0.75, 0.1, None, None)


@pytest.mark.parametrize(("patience", "stale", "over"), [("none", 9, False), ("2", 1, False), ("2", 2, True)])
def test_patience_ends_a_training(patience: str, stale: int, over: bool):
    selection = apply_overrides(find_recipe("town-demo"), [f"selection.patience={patience}"]).selection
    assert out_of_patience(selection, Progress(stale_evaluations=stale)) == over
