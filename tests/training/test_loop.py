import pytest

from pixelwise.training import loop
from pixelwise.training.loop import SpeedMeter


def test_the_meter_counts_waiting_and_working_but_nothing_after_the_step(monkeypatch: pytest.MonkeyPatch):
    times = iter([0.0, 10.0, 11.0, 14.0, 50.0, 51.0, 54.0, 60.0])
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(times))
    meter = SpeedMeter(images=8)
    meter.waiting()  # 10
    meter.working()  # 11
    meter.done()  # 14
    assert (meter.images_per_second, meter.wait_share) == (2.0, 0.25)
    meter.waiting()  # 50
    meter.working()  # 51
    meter.done()  # 54
    assert (meter.images_per_second, meter.wait_share) == (2.0, 0.25)
    assert meter.lap() == 60
