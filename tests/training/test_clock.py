import pytest
import torch

from pixelwise.training import clock
from pixelwise.training.clock import PartClock, SpeedMeter, untimed


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


def test_the_meter_counts_waiting_and_working_but_nothing_after_the_step(monkeypatch: pytest.MonkeyPatch):
    times = iter([0.0, 10.0, 11.0, 14.0, 50.0, 51.0, 54.0, 60.0])
    monkeypatch.setattr(clock.time, "monotonic", lambda: next(times))
    meter = SpeedMeter()
    assert (meter.images_per_second, meter.wait_share) == (None, 0.0)
    meter.waiting()  # 10
    meter.working()  # 11
    meter.done(8)  # 14
    assert (meter.images_per_second, meter.wait_share) == (2.0, 0.25)
    meter.waiting()  # 50
    meter.working()  # 51
    meter.done(8)  # 54
    assert (meter.images_per_second, meter.wait_share) == (2.0, 0.25)
    assert meter.lap() == 60


def test_a_smaller_last_batch_is_counted_as_it_is(monkeypatch: pytest.MonkeyPatch):
    times = iter([0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 5.0])
    monkeypatch.setattr(clock.time, "monotonic", lambda: next(times))
    meter = SpeedMeter()
    for images in (8, 2):  # 8 images in 4 s, 2 images in 1 s
        meter.waiting()
        meter.working()
        meter.done(images)
    assert meter.images_per_second == pytest.approx(2.0)
