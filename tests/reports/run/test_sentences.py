import msgspec
import pytest

from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.log import EvaluationRecord, Log
from pixelwise.records.result import TrainingCost
from pixelwise.records.standing import Standing
from pixelwise.reports.run.records import RunRecords, read_run
from pixelwise.reports.run.sentences import about_data, about_weights, images_of, scored_on

FINISHED = Standing(state="finished", step=60, steps=60, saved=60)
STOPPED = Standing(state="stopped", step=60, steps=90, saved=60)
SCORES = {20: 0.2, 40: 0.5, 60: 0.4}


@pytest.fixture
def run(finished_run) -> RunRecords:
    return read_run(finished_run)


def told(run: RunRecords, scores: dict[int, float], standing: Standing, select: str = "best", **fields) -> str:
    """What is said about the weights of a result with `fields`, after evaluations on val with these scores."""
    records = [EvaluationRecord(step=step, split="val", protocol="native", miou=miou) for step, miou in scores.items()]
    recipe = apply_overrides(run.recipe, [f"selection.weights={select}", "selection.split=val"])
    changed = msgspec.structs.replace(run, log=Log(tuple(records)), recipe=recipe, standing=standing)
    return " ".join(about_weights(changed, msgspec.structs.replace(run.evaluations[0].result, **fields)))


def test_the_best_of_all_evaluations(run: RunRecords):
    assert told(run, SCORES, FINISHED, step=40) == (
        "The weights are those of the best of 3 evaluations on val, at step 40."
    )
    assert told(run, {20: 0.5, 40: 0.5}, STOPPED, step=20, weights="ema") == (
        "The averaged (EMA) weights are those of the best of 2 evaluations on val so far, at step 20."
    )
    # The best checkpoint is gone, or was written since.
    assert "those of one of 3 evaluations on val, at step 20" in told(run, SCORES, FINISHED, step=20)


def test_weights_that_no_evaluation_chose(run: RunRecords):
    assert told(run, {}, STOPPED, step=22) == (
        "The weights are those that were saved last before this score, at step 22: "
        "no evaluation on val had taken place."
    )
    assert "no evaluation chose them" in told(run, SCORES, FINISHED, step=22)


def test_the_last_weights(run: RunRecords):
    assert "those of the last step, 60" in told(run, SCORES, FINISHED, "last", step=60)
    assert "those of step 60, as" in told(run, SCORES, STOPPED, "last", step=60)


def test_imported_weights(run: RunRecords):
    imported = Standing(state="imported", saved=0)
    assert told(run, {}, imported, step=0) == "The weights were imported; they were not trained here."


@pytest.mark.parametrize(
    ("own", "split", "optimistic"),
    [
        (True, "val", True),
        (None, "val", True),
        (True, "all", True),
        (True, "test", False),
        (False, "val", False),
        (False, "all", False),
    ],
)
def test_a_score_on_the_images_that_chose_the_weights_is_optimistic(
    run: RunRecords, own: bool | None, split: str, optimistic: bool
):
    assert ("optimistic" in told(run, SCORES, FINISHED, step=40, own_data=own, split=split)) == optimistic


def test_a_score_of_a_run_that_was_trained_on_since_says_so(run: RunRecords):
    cost = TrainingCost(steps=40, seconds=1.0, peak_memory_bytes=1)
    assert "trained from step 40 to 60 after this score" in told(run, SCORES, FINISHED, step=40, training=cost)
    cost = TrainingCost(steps=60, seconds=1.0, peak_memory_bytes=1)
    assert "after this score" not in told(run, SCORES, FINISHED, step=40, training=cost)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("/home/someone/photos", "3 images of photos"),
        ("C:\\Users\\someone\\photos\\", "3 images of photos"),
        ("s3://bucket/of/photos", "3 images of photos"),
        ("", "3 images"),
    ],
)
def test_the_head_of_a_page_names_the_folder_and_not_where_it_lies(run: RunRecords, data: str, said: str):
    assert images_of(msgspec.structs.replace(run.evaluations[0].result, data=data, images=3)) == said


def test_other_data_and_notes_are_told(run: RunRecords):
    own = msgspec.structs.replace(run.evaluations[0].result, own_data=True, data="/data/own", images=1)
    assert about_data(own) == []
    assert scored_on(own) == "test of /data/own, 1 image"
    assert scored_on(msgspec.structs.replace(own, data="", images=1367)) == "test, 1\u202f367 images"
    other = msgspec.structs.replace(own, own_data=False, notes=("All 9 images are scored.",))
    assert about_data(other) == [
        "Scored on other data than the run was trained on: /data/own.",
        "All 9 images are scored.",
    ]
    (said,) = about_data(msgspec.structs.replace(own, series=2))
    assert said.startswith("The names of the images show 2 series, too few or too large to be drawn as a whole: ")
