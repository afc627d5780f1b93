import pytest

from pixelwise.errors import RecipeError
from pixelwise.training.trackers.jsonl import JsonlTracker
from pixelwise.training.trackers.tracker import (
    OWN_LOG,
    TRACKERS,
    Tracker,
    make_trackers,
    register_tracker,
    require_trackers,
)


def test_built_in_trackers_are_registered_by_name():
    assert {"jsonl", "tensorboard"} <= set(TRACKERS.own())
    assert TRACKERS.find("jsonl") is JsonlTracker


def test_each_name_is_one_tracker_and_the_own_log_is_left_out():
    class Silent(Tracker):
        pass

    register_tracker("silent")(Silent)
    try:
        made = make_trackers(["silent", OWN_LOG, "silent"])
        assert list(made) == ["silent"]
        assert isinstance(made["silent"], Silent)
        assert make_trackers([]) == {}
    finally:
        TRACKERS.discard("silent")


def test_an_unknown_name_is_an_error_with_the_nearest():
    with pytest.raises(RecipeError, match="tensorboard") as caught:
        make_trackers(["tensorbord"])
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
