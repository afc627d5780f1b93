import sys
from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord, StepRecord
from pixelwise.training.trackers.tensorboard import TensorBoardTracker
from pixelwise.training.trackers.tracker import TrackedRun


def run(folder: Path, done: int = 0) -> TrackedRun:
    return TrackedRun(
        folder=folder,
        recipe=recipe("town-demo"),
        environment=Environment(command="pixelwise train town-demo"),
        data=DataFacts(classes=("road", "sky")),
        steps=9,
        done=done,
    )


def step(number: int) -> StepRecord:
    return StepRecord(step=number, epoch=1, loss=1 / number, lr=0.5, grad_norm=None if number == 2 else 3.0)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value), as TensorBoard reads them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_curves_of_steps_and_evaluations_are_read_by_tensorboard(tmp_path: Path):
    pytest.importorskip("tensorboard")
    tracker = TensorBoardTracker()
    tracker.start(run(tmp_path))
    for number in (1, 2):
        tracker.step(step(number))
    tracker.evaluation(
        EvaluationRecord(
            step=2, split="val", protocol="native", miou=0.25, pixel_accuracy=0.5, per_class_iou=(0.25, None)
        )
    )
    tracker.finish()
    assert scalars(tmp_path) == {
        "train/loss": [(1, 1.0), (2, 0.5)],
        "train/lr": [(1, 0.5), (2, 0.5)],
        "train/grad_norm": [(1, 3.0)],
        "val-native/miou": [(2, 0.25)],
        "val-native/pixel_accuracy": [(2, 0.5)],
        "val-native/iou/road": [(2, 0.25)],
    }


def test_a_resumed_run_hides_later_steps_of_the_interrupted_one(tmp_path: Path):
    pytest.importorskip("tensorboard")
    for done, numbers in ((0, (1, 2, 3, 4)), (2, (3, 4, 5))):
        tracker = TensorBoardTracker()
        tracker.start(run(tmp_path, done))
        for number in numbers:
            tracker.step(step(number))
        tracker.finish()
    assert [number for number, _ in scalars(tmp_path)["train/loss"]] == [1, 2, 3, 4, 5]


def test_without_the_package_it_is_an_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(RecipeError) as caught:
        TensorBoardTracker()
    assert caught.value.code == "R272"
    assert "pixelwise[track]" in caught.value.help
