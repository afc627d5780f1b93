"""Stages, beginning with another run, early stopping: each resumes as if it had never been interrupted."""

import json
import os
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from observers import Told

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import CheckpointError, RecipeError, StoppedError
from pixelwise.observer import TrainingStatus
from pixelwise.recipes.files import find as find_recipe
from pixelwise.training import session
from pixelwise.training.runs import resume, train
from pixelwise.training.stages import stage_recipe

STAGED = """
name = "staged"
[model]
family = "erfnet"
[augment]
crop = [32, 48]
flip = 0.5
[optimizer]
lr = 0.002
kind = "adam"
[[optimizer.groups]]
pattern = "^encoder"
lr = 0.5
[schedule]
iterations = 5
[sampling]
batch_size = 2
[checkpoints]
every_steps = 2
[[stages]]
name = "first"
overrides = ["model.part=encoder", "schedule.iterations=3", "optimizer.groups=[]"]
[[stages]]
name = "second"
overrides = ["model.part=encoder", "schedule.iterations=4", "ema.decay=0.5", "optimizer.lr=0.001"]
"""


def records(run: Path, kind: str) -> list[dict]:
    lines = (run / "log.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def content(run: Path) -> dict[str, str]:
    """What a run ended with: SHA-256 of weights, optimizer and random state, and every loss."""
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    found = {name: record.sha256 for name, record in checkpoint.manifest.files.items() if name.endswith("safetensors")}
    return found | {str(record["step"]): repr((record["loss"], record["lr"])) for record in records(run, "step")}


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return checkpoint.tensors("model")


@pytest.fixture(scope="module")
def staged_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "staged.toml"
    path.write_text(STAGED, "utf-8")
    return path


@pytest.fixture(scope="module")
def staged_run(staged_recipe: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(str(staged_recipe), data=tiny_data, output=tmp_path_factory.mktemp("runs") / "staged", threads=1)


def test_a_stages_recipe_is_complete_and_claims_no_published_number(staged_recipe: Path):
    recipe = find_recipe(str(staged_recipe))
    first = stage_recipe(recipe, recipe.stages[0])
    assert (first.name, first.stages, first.published) == ("staged-first", (), None)
    assert (first.schedule.iterations, first.optimizer.groups, first.optimizer.lr) == (3, (), 0.002)


def test_every_stage_is_a_run_that_begins_with_the_one_before(staged_run: Path):
    environment = json.loads((staged_run / "stages" / "second" / "environment.json").read_bytes())
    assert environment["begins_with"] == "../first"
    start = environment["initial_weights"]["run"]
    assert (start["recipe"], start["step"], start["random"]) == ("staged-first", 3, [])
    start = json.loads((staged_run / "environment.json").read_bytes())["initial_weights"]["run"]
    assert (start["recipe"], start["step"]) == ("staged-second", 4)
    # The decoder is new; the whole encoder comes from the stage.
    assert start["random"]
    assert all(name.startswith(("decoder.", "classifier.")) for name in start["random"])
    assert sorted({record["step"] for record in records(staged_run, "step")}) == [1, 2, 3, 4, 5]


@pytest.mark.heavy
def test_the_recipe_begins_with_the_averaged_weights_of_the_last_stage(staged_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(staged_run, run)
    # Killed after its stages and before its own first checkpoint.
    shutil.rmtree(run / "checkpoints")
    resume(run)
    assert content(run) == content(staged_run)
    begun = json.loads((run / "environment.json").read_bytes())["initial_weights"]["run"]
    second = newest_checkpoint(run / "stages" / "second" / "checkpoints")
    assert second is not None
    assert begun["weights_sha256"] == second.sha256("ema") != second.sha256("model")


@pytest.mark.heavy
@pytest.mark.parametrize(
    "stop_at",
    [
        ("first", 2),
        pytest.param(("second", 3), marks=pytest.mark.heavy),
        pytest.param(("", 1), marks=pytest.mark.heavy),
        ("", 4),
    ],
)
def test_stopped_in_any_stage_and_resumed_equals_uninterrupted(
    stop_at: tuple[str, int], staged_run: Path, staged_recipe: Path, tiny_data: Path, tmp_path: Path
):
    stage, step = stop_at
    where = {"stage": ""}
    order = ["first", "second", ""]

    def phase(what: str) -> None:
        if what.startswith("stage "):
            where["stage"] = what.removeprefix("stage ")
        elif what.startswith("beginning with") and what.endswith("stages/second"):
            where["stage"] = ""

    def interrupt(status: TrainingStatus) -> None:
        if (where["stage"], status.step) == (stage, step):
            os.kill(os.getpid(), signal.SIGINT)

    run = tmp_path / "run"
    observer = Told(phase=phase, step=interrupt)
    with pytest.raises(StoppedError, match=rf"step {step}\b") as caught:
        train(str(staged_recipe), data=tiny_data, output=run, threads=1, observer=observer)
    assert caught.value.help.endswith(f"pixelwise resume {run}")
    assert (caught.value.code, caught.value.exit_code) == ("I130", 130)
    assert stage in caught.value.message
    resume(run)
    for name in order:
        folder = f"stages/{name}" if name else ""
        assert content(run / folder) == content(staged_run / folder), name


def test_a_stage_with_a_wrong_override_is_refused_before_anything_is_written(
    staged_recipe: Path, tiny_data: Path, tmp_path: Path
):
    run = tmp_path / "run"
    change = 'stages=[{name="first", overrides=["optimizer.lrr=1"]}]'
    with pytest.raises(RecipeError, match=r"R202.*'lrr'"):
        train(str(staged_recipe), data=tiny_data, output=run, overrides=[change])
    assert not run.exists()
    with pytest.raises(RecipeError, match=r"R203.*stages.* a, a"):
        train(str(staged_recipe), data=tiny_data, output=run, overrides=['stages=[{name="a"}, {name="a"}]'])
    with pytest.raises(RecipeError, match=r"R203.*stages.*'\.\./a'"):
        train(str(staged_recipe), data=tiny_data, output=run, overrides=['stages=[{name="../a"}]'])


def test_a_stage_that_has_too_few_images_is_named_before_anything_is_written(
    staged_recipe: Path, tiny_data: Path, tmp_path: Path
):
    run = tmp_path / "run"
    change = 'stages=[{name="first",overrides=["sampling.batch_size=4000","sampling.drop_last=true"]}]'
    with pytest.raises(RecipeError, match=r"stage 'first': .* sampling.batch_size=4000") as caught:
        train(str(staged_recipe), data=tiny_data, output=run, overrides=[change])
    assert caught.value.code == "R211"
    assert not run.exists()


@pytest.mark.heavy
def test_a_run_begins_with_the_result_of_another_one(
    tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    said: list[str] = []
    run = train(
        str(tiny_recipe),
        data=tiny_data,
        output=tmp_path / "run",
        threads=1,
        overrides=[f"initialize.run={tiny_run}", "initialize.recipe=tiny", 'optimizer.groups=[{pattern=".", lr=0}]'],
        observer=Told(phase=said.append),
    )
    # Nothing learns at a rate of 0, so the parameters are still those it began with: the averaged ones of the best.
    start = json.loads((run / "environment.json").read_bytes())["initial_weights"]["run"]
    best = {path.name: path for path in (tiny_run / "checkpoints").glob("step-*")}[f"step-{start['step']:08d}"]
    assert start["recipe"] == "tiny"
    began = safetensors.torch.load_file(best / "ema.safetensors")
    ended = weights(run)
    learned = [name for name in began if name.endswith((".weight", ".bias"))]
    assert all(torch.equal(began[name], ended[name]) for name in learned)
    assert any(f"{len(began)} of {len(began)} " in what and str(tiny_run) in what for what in said)


@pytest.mark.heavy
def test_a_run_of_another_recipe_or_network_is_refused(
    tiny_run: Path, staged_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    for overrides, code, words in [
        ([f"initialize.run={staged_run}"], "K450", r"\b0 of "),
        ([f"initialize.run={tiny_run}", "initialize.recipe=enet-camvid"], "K451", "'tiny'.*'enet-camvid'"),
        ([f"initialize.run={tmp_path}"], "K420", re.escape(str(tmp_path))),
    ]:
        with pytest.raises(CheckpointError, match=words) as caught:
            train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", overrides=overrides)
        assert caught.value.code == code
    with pytest.raises(RecipeError, match="'enet-camvid'") as refused:
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", overrides=["initialize.recipe=enet-camvid"])
    assert refused.value.code == "R232"
    assert not (tmp_path / "run").exists()


PATIENT = [
    "selection.patience=2", "selection.min_delta=5", "selection.every_epochs=1", "schedule.epochs=12",
    "augment.crop=[32, 32]", "checkpoints.every_steps=48",
]  # fmt: skip
SCORES = [0.1, 0.2, 0.24, 0.21, 0.9]
"""Of epochs 1, 2, ...: with 5 points wanted, only those of epochs 1, 2 and 5 are improvements."""


def patient(run: Path, recipe: Path, data: Path, stop_at: int | None = None, overrides: list[str] | None = None):
    """Train, or continue where `overrides` are given, with evaluations that give `SCORES`."""
    now = SimpleNamespace(step=stop_at or 0)

    def status(latest: TrainingStatus) -> None:
        now.step = latest.step
        if now.step == stop_at and overrides is None:
            os.kill(os.getpid(), signal.SIGTERM)

    def scores(*arguments: object, **options: object) -> SimpleNamespace:
        return SimpleNamespace(miou=SCORES[now.step // 4 - 1], pixel_accuracy=0.5, per_class_iou=[0.5, None, 0.5])

    observer = Told(step=status)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "evaluate_model", scores)
        if overrides is not None:
            return resume(run, overrides=overrides, observer=observer)
        return train(str(recipe), data=data, output=run, threads=1, overrides=PATIENT, observer=observer)


@pytest.fixture(scope="module")
def impatient_run(tiny_recipe: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return patient(tmp_path_factory.mktemp("runs") / "early", tiny_recipe, tiny_data)


def test_training_ends_after_so_many_evaluations_without_an_improvement(impatient_run: Path):
    assert [record["step"] for record in records(impatient_run, "evaluation")] == [4, 8, 12, 16]
    assert [record["step"] for record in records(impatient_run, "finished")] == [16]
    warnings = records(impatient_run, "warning")
    assert [(record["code"], record["step"]) for record in warnings] == [("W502", 16)]
    message = warnings[0]["message"]
    assert all(value in message for value in ("2 evaluations", "20.00 % mIoU", "5 points", "selection.patience"))
    newest = newest_checkpoint(impatient_run / "checkpoints")
    assert newest is not None
    # The best weights are those of the highest score, whatever counts as an improvement.
    assert newest.state()["progress"]["best_step"] == 12


@pytest.mark.heavy
@pytest.mark.parametrize("stop_at", [pytest.param(9, marks=pytest.mark.heavy), 16])
def test_early_stopping_resumes_exactly(
    stop_at: int, impatient_run: Path, tiny_recipe: Path, tiny_data: Path, tmp_path: Path
):
    run = tmp_path / "run"
    with pytest.raises(StoppedError, match=rf"step {stop_at}\b"):
        patient(run, tiny_recipe, tiny_data, stop_at)
    patient(run, tiny_recipe, tiny_data, stop_at, overrides=[])
    assert content(run) == content(impatient_run)
    assert [record["step"] for record in records(run, "finished")] == [16]


@pytest.mark.heavy
def test_a_run_that_ended_early_stays_ended_until_patience_is_lifted(impatient_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(impatient_run, run)
    resume(run)
    assert (run / "log.jsonl").read_text() == (impatient_run / "log.jsonl").read_text()
    patient(run, run, run, 16, overrides=["selection.patience=none", "schedule.epochs=5"])
    assert [record["step"] for record in records(run, "finished")] == [16, 20]


@pytest.mark.heavy
def test_groups_and_layers_resume_exactly(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    changes = [
        'optimizer.groups=[{pattern="norm", weight_decay=0}, {pattern="^(stage5|classifier)", lr=5}]',
        "optimizer.lr_batch=4",
        "schedule.per=epoch",
        "schedule.warmup_iterations=0",
        "schedule.warmup_epochs=1",
        "schedule.warmup_ratio=0.1",
        "selection.every_epochs=0",
        "selection.weights=last",
    ]

    def interrupt(status: TrainingStatus) -> None:
        if status.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    whole = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "whole", threads=1, overrides=changes)
    run = tmp_path / "run"
    observer = Told(step=interrupt)
    with pytest.raises(StoppedError):
        train(str(tiny_recipe), data=tiny_data, output=run, threads=1, overrides=changes, observer=observer)
    resume(run)
    assert content(run) == content(whole)
    # Half of 0.005, as 2 images are half of 4; a tenth of it in the first epoch of four steps.
    assert [record["lr"] for record in records(run, "step")][:5] == pytest.approx([2.5e-4] * 4 + [2.5e-3])


def stopped_in(stage: str, step: int) -> Told:
    """An observer that stops a training at a step of one of its stages."""
    where = {"stage": ""}

    def phase(what: str) -> None:
        if what.startswith("stage "):
            where["stage"] = what.removeprefix("stage ")

    def interrupt(status: TrainingStatus) -> None:
        if (where["stage"], status.step) == (stage, step):
            os.kill(os.getpid(), signal.SIGINT)

    return Told(phase=phase, step=interrupt)


@pytest.mark.heavy
def test_what_was_changed_outlives_a_stop_in_a_stage_and_reaches_the_stages(
    staged_run: Path, staged_recipe: Path, tiny_data: Path, tmp_path: Path
):
    run, moved = tmp_path / "run", tmp_path / "moved"
    with pytest.raises(StoppedError):
        train(str(staged_recipe), data=tiny_data, output=run, threads=1, observer=stopped_in("first", 1))
    shutil.copytree(tiny_data, moved)
    changes = ["data.workers=0", "schedule.iterations=6", "checkpoints.every_steps=3"]
    with pytest.raises(StoppedError):
        resume(run, overrides=changes, data=moved, observer=stopped_in("first", 2))
    recorded = find_recipe(str(run / "recipe.toml"))
    assert (recorded.schedule.iterations, recorded.data.workers, recorded.checkpoints.every_steps) == (6, 0, 3)
    first = find_recipe(str(run / "stages" / "first" / "recipe.toml"))
    # The length of a stage that has begun stays its own.
    assert (first.schedule.iterations, first.data.workers, first.checkpoints.every_steps) == (3, 0, 3)
    resume(run)
    environment = json.loads((run / "environment.json").read_bytes())
    assert environment["arguments"]["data"] == str(moved.resolve())
    begun = environment["initial_weights"]["run"]
    assert (begun["recipe"], begun["step"]) == ("staged-second", 4)
    assert sorted({record["step"] for record in records(run, "step")}) == [1, 2, 3, 4, 5, 6]
    assert content(run / "stages" / "first") == content(staged_run / "stages" / "first")
