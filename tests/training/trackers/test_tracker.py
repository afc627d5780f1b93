import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.training.trackers.jsonl import JsonlTracker
from pixelwise.training.trackers.tracker import (
    OWN_LOG,
    TRACKERS,
    TrackedRun,
    Tracker,
    chosen_trackers,
    make_tracker,
    register_tracker,
    require_trackers,
)


def test_built_in_trackers_are_registered_by_name():
    assert {"jsonl", "tensorboard", "mlflow", "wandb", "trackio"} == set(TRACKERS.own())
    assert TRACKERS.find("jsonl") is JsonlTracker


def test_each_name_is_one_tracker_and_the_own_log_is_left_out():
    assert chosen_trackers(["b", OWN_LOG, "a", "b"]) == ("b", "a")
    assert chosen_trackers([]) == ()


def test_a_tracker_is_made_only_if_it_can_be_used_here():
    class Silent(Tracker):
        @classmethod
        def require(cls) -> None:
            raise RecipeError("R272", "no package", "get it")

    register_tracker("silent")(Silent)
    try:
        with pytest.raises(RecipeError, match="no package"):
            make_tracker("silent")
        Silent.require = Tracker.require  # type: ignore[method-assign]
        assert isinstance(make_tracker("silent"), Silent)
    finally:
        TRACKERS.discard("silent")


def test_a_stage_is_named_after_its_run(tmp_path):
    made = tracked(tmp_path / "first")
    assert made.name == "first"
    assert tracked(tmp_path / "first" / "stages" / "encoder").name == "first-encoder"


def tracked(folder):
    return TrackedRun(
        folder=folder, recipe=recipe("town-demo"), environment=Environment(), data=DataFacts(), steps=1, done=0
    )


def test_an_unknown_name_is_an_error_with_the_nearest():
    with pytest.raises(RecipeError, match="tensorboard") as caught:
        make_tracker("tensorbord")
    assert caught.value.code == "R270"


def test_a_built_in_name_is_taken():
    with pytest.raises(RecipeError) as caught:
        register_tracker("tensorboard")(type("Mine", (Tracker,), {}))
    assert caught.value.code == "R234"


def test_trackers_are_required_without_making_them():
    @register_tracker("costly")
    class Costly(Tracker):
        def __init__(self) -> None:
            raise AssertionError("made")

    try:
        require_trackers(["costly", OWN_LOG])
    finally:
        TRACKERS.discard("costly")
    with pytest.raises(RecipeError) as caught:
        require_trackers(["tensorbord"])
    assert caught.value.code == "R270"
