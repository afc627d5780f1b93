"""The loop alone, on states that no ordinary run reaches; whole runs are in test_runs.py."""

from pathlib import Path

import pytest

from pixelwise.errors import DataError, ResourceError, StoppedError
from pixelwise.training.loop import saved_on_failure


@pytest.mark.parametrize(
    ("error", "saves"),
    [
        (DataError("D101", "a file vanished", "restore it"), 1),
        (StoppedError("I075", "stopped, and saved already"), 0),
        (ResourceError("S601", "no room to save", "make some"), 0),
        (ValueError("a mistake of ours"), 0),
        (KeyboardInterrupt(), 0),
    ],
)
def test_the_state_is_saved_before_an_error_that_the_user_can_resolve(error: BaseException, saves: int):
    saved: list[Path] = []
    with pytest.raises(type(error)), saved_on_failure(lambda: saved.append(Path())):
        raise error
    assert len(saved) == saves


@pytest.mark.parametrize(
    ("reason", "raised"),
    [
        ("[../gloo/transport/tcp/pair.cc:544] Connection closed by peer", DataError),
        ("a mistake of ours", RuntimeError),
    ],
)
def test_an_error_is_told_even_if_the_others_are_lost_who_have_parts_of_the_state(reason: str, raised: type):
    def save() -> None:
        raise RuntimeError(reason)

    with pytest.raises(raised), saved_on_failure(save):
        raise DataError("D101", "a file vanished", "restore it")


def test_without_a_failure_nothing_is_saved():
    with saved_on_failure(lambda: pytest.fail("saved")):
        pass
