import pytest
import torch

from pixelwise.training import clock
from pixelwise.training.clock import PartClock, untimed


def test_a_clock_adds_up_what_its_parts_take(monkeypatch: pytest.MonkeyPatch):
    times = iter([1.0, 3.0, 10.0, 11.0, 20.0, 24.0])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(times))
    timed = PartClock(torch.device("cpu"))
    for part in ("forward", "backward", "forward"):
        with timed(part):
            pass
    assert timed.seconds == {"forward": 6.0, "backward": 1.0}


def test_a_part_that_fails_is_timed_and_fails():
    timed = PartClock(torch.device("cpu"))
    with pytest.raises(ValueError, match="here"), timed("loss"):
        raise ValueError("here")
    assert timed.seconds["loss"] >= 0


def test_ordinary_training_has_no_clock():
    with untimed("forward") as nothing:
        assert nothing is None
