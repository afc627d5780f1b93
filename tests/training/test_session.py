"""A prepared run brought to its end; whole runs from their recipe on are in test_runs.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest
import torch
from observers import Told

from pixelwise.checkpoints.checkpoint import list_checkpoints, newest_checkpoint
from pixelwise.errors import StoppedError
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.data_facts import write_data_facts
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord, FinishedRecord, StepRecord, read_log
from pixelwise.records.pictures import PICTURES, read_pictures
from pixelwise.records.run_folder import CHECKPOINTS, write_recipe
from pixelwise.records.status import read_status
from pixelwise.storage.atomic import TEMPORARY_PREFIX
from pixelwise.training.session import work
from pixelwise.training.setup import PreparedRun, look_at_data, prepare_run
from pixelwise.training.trackers.tracker import TRACKERS, TrackedRun, Tracker, register_tracker

LENGTH = ("schedule.iterations=4", "schedule.warmup_iterations=0", "selection.every_epochs=1", "augment.class_crop=0")


@pytest.fixture
def prepared(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    """Prepare four steps, an epoch, of the tiny recipe."""
    looked = look_at_data(find_recipe(str(tiny_recipe)), tiny_data, SILENT)

    def prepare(*changes: str) -> PreparedRun:
        dataset, facts, recipe = looked
        changed = apply_overrides(recipe, [*LENGTH, *changes])
        return prepare_run(changed, dataset, facts, tmp_path / "run", torch.device("cpu"), SILENT, None)

    return prepare


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / CHECKPOINTS).mkdir(parents=True)
    return folder


def trained(prepared: PreparedRun, run: Path, observer: Observer = SILENT, trackers: tuple[str, ...] = ()) -> None:
    work(prepared, run, Environment(trackers=trackers), observer)


@pytest.mark.heavy
def test_every_step_is_done_logged_and_saved(prepared, run: Path):
    ready = prepared()
    phases: list[str] = []
    trained(ready, run, Told(phase=phases.append))
    log = read_log(run)
    assert [record.step for record in log.of(StepRecord)] == [1, 2, 3, 4]
    assert [record.step for record in log.of(FinishedRecord)] == [4]
    assert ready.state.progress.step == 4
    newest = newest_checkpoint(run / CHECKPOINTS)
    assert newest is not None
    assert newest.step == 4
    assert phases[-2:] == ["training", "evaluating"]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("changes", "split", "protocol", "images"),
    [
        ((), "val", "native", 3),
        (("selection.split=train",), "train", "native", 8),
        (("evaluation.protocols=['camvid-480x360','native']",), "val", "camvid-480x360", 3),
        (("evaluation.protocols=['camvid-480x360']", "selection.protocol=native"), "val", "native", 3),
    ],
)
def test_evaluations_are_of_the_split_and_the_protocol_of_the_selection(
    changes: tuple[str, ...], split: str, protocol: str, images: int, prepared, run: Path
):
    told: list[tuple[int, int | None]] = []
    observer = Told(progress=lambda phase, done, total: told.append((done, total)) if phase == "evaluating" else None)
    ready = prepared(*changes)
    trained(ready, run, observer)
    (record,) = read_log(run).of(EvaluationRecord)
    assert (record.step, record.split, record.protocol) == (4, split, protocol)
    assert told[-1] == (images, images)
    assert len(record.per_class_iou) == 3
    scored = [iou for iou in record.per_class_iou if iou is not None]
    assert record.miou == ready.state.progress.miou == pytest.approx(sum(scored) / len(scored))


@pytest.mark.heavy
def test_class_weights_of_the_data_weigh_the_loss(prepared, run: Path):
    losses = []
    for weights in (None, (1.0, 1.0, 1.0), (0.0, 0.0, 1.0)):
        ready = prepared("schedule.iterations=1", "selection.every_epochs=0", "selection.weights=last")
        facts = msgspec.structs.replace(ready.facts, class_weights=weights)
        trained(ready._replace(facts=facts), run)
        losses.append([record.loss for record in read_log(run).of(StepRecord)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[2][0] != pytest.approx(losses[0][0], rel=1e-2)


@pytest.mark.heavy
def test_a_finished_run_only_finds_that_it_is_finished(prepared, run: Path):
    ready = prepared()
    trained(ready, run)
    before = {name: value.clone() for name, value in ready.state.model.state_dict().items()}
    said: list[str] = []
    trained(ready, run, Told(phase=said.append))
    assert said == []
    assert all(torch.equal(value, before[name]) for name, value in ready.state.model.state_dict().items())
    assert [record.step for record in read_log(run).of(StepRecord)] == [1, 2, 3, 4]


@pytest.mark.heavy
def test_a_run_whose_patience_is_over_does_not_train_on(prepared, run: Path):
    ready = prepared("selection.patience=1", "schedule.iterations=8")
    progress = ready.state.progress
    progress.step = progress.evaluated_step = 4
    progress.miou = progress.improved_miou = 0.5
    progress.stale_evaluations = 1
    said: list[str] = []
    trained(ready, run, Told(phase=said.append))
    assert "training" not in said
    assert progress.step == 4
    progress.stale_evaluations = 0
    trained(ready, run, Told(phase=said.append))
    assert "training" in said
    assert progress.step == 8


def test_what_a_killed_process_left_behind_is_removed(prepared, run: Path):
    leftovers = [run / f"{TEMPORARY_PREFIX}1", run / CHECKPOINTS / f"{TEMPORARY_PREFIX}2"]
    leftovers[0].write_text("half a file", "utf-8")
    leftovers[1].mkdir()
    (run / "notes.txt").write_text("mine", "utf-8")
    trained(prepared("schedule.iterations=1"), run)
    assert [path for path in leftovers if path.exists()] == []
    assert (run / "notes.txt").read_text("utf-8") == "mine"


@pytest.mark.heavy
def test_trackers_are_told_of_the_run_and_one_that_is_gone_is_a_warning(prepared, run: Path):
    told: list[TrackedRun] = []

    @register_tracker("listening")
    class Listening(Tracker):
        def start(self, run: TrackedRun) -> None:
            told.append(run)

    @register_tracker("broken")
    class Broken(Tracker):
        def __init__(self) -> None:
            raise OSError("no connection")

    said: list[tuple[str, str]] = []
    ready = prepared()
    try:
        observer = Told(warn=lambda code, message: said.append((code, message)))
        write_recipe(run, ready.recipe)
        write_data_facts(run, ready.facts)
        trained(ready, run, observer, ("vanished", "broken", "listening"))
    finally:
        TRACKERS.discard("listening")
        TRACKERS.discard("broken")
    assert [(code, message.split("'")[1]) for code, message in said] == [("W504", "vanished"), ("W504", "broken")]
    assert "OSError: no connection" in said[1][1]
    assert [(one.folder, one.steps, one.done, one.recipe) for one in told] == [(run, 4, 0, ready.recipe)]
    assert told[0].data == ready.facts
    assert ready.state.progress.step == 4


@pytest.mark.heavy
def test_the_score_of_some_of_the_images_is_no_result(prepared, run: Path):
    heard: list[int] = []

    def interrupt(phase: str, done: int, total: int | None) -> None:
        if phase == "evaluating":
            heard.append(done)
            os.kill(os.getpid(), signal.SIGTERM)

    ready = prepared()
    with pytest.raises(StoppedError) as caught:
        trained(ready, run, Told(progress=interrupt))
    assert (caught.value.code, caught.value.exit_code) == ("I075", 75)
    assert len(heard) == 1  # and no image was scored after it
    assert read_log(run).of(EvaluationRecord) == []
    assert (ready.state.progress.step, ready.state.progress.evaluated_step) == (4, -1)
    assert [(manifest.step, manifest.miou) for _, manifest in list_checkpoints(run / CHECKPOINTS)][-1] == (4, None)


@pytest.mark.heavy
def test_a_training_leaves_pictures_and_its_status(prepared, run: Path):
    trained(prepared("schedule.iterations=8"), run)
    found = read_pictures(run)
    assert len(found.batch) == 2
    assert [one.id for one in found.images] == ["00", "01", "02"]
    assert [moment.step for moment in found.moments] == [4, 8]
    assert all((run / PICTURES / name).is_file() for name in found.names())
    status = read_status(run)
    assert (status.state, status.outcome) == ("over", "finished")
    assert status.training is not None
    assert status.training.step == 8


@pytest.mark.heavy
def test_pictures_that_cannot_be_written_end_no_training(prepared, run: Path):
    (run / PICTURES).write_text("in the way")
    said: list[str] = []
    ready = prepared()
    trained(ready, run, Told(warn=lambda code, message: said.append(code)))
    assert ready.state.progress.step == 4
    assert set(said) == {"W505"}


def test_a_training_that_ends_with_an_error_says_so_in_its_status(prepared, run: Path):
    def stop(status: object) -> None:
        raise StoppedError("I074", "enough", "")

    with pytest.raises(StoppedError):
        trained(prepared(), run, Told(step=stop))
    assert read_status(run).outcome == "enough [I074]"
