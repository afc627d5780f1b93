from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

from pixelwise.prediction.videos.times import Clock


def stamped(*times: int | None, dts: int | None = None, duration: int = 0) -> tuple[list[int], Clock]:
    clock = Clock(Fraction(1, 100), Fraction(25))
    found = [clock.stamp(SimpleNamespace(pts=pts, dts=dts, duration=duration))[0] for pts in times]
    return found, clock


def test_times_of_the_file_are_kept():
    times, clock = stamped(7, 8, 30, 31)
    assert (times, clock.in_words()) == ([7, 8, 30, 31], "")
    assert (clock.first, clock.last, clock.end) == (7, 31, 35)  # 25 frames per second: 4 units


def test_frames_without_times_follow_each_other_at_the_rate_of_the_video():
    times, clock = stamped(None, None, 20, None)
    assert times == [0, 4, 20, 24]
    assert clock.in_words() == "3 of them, the first at 0.000 s"


def test_the_time_of_decoding_counts_where_there_is_no_other():
    times, clock = stamped(None, dts=9)
    assert (times, clock.in_words()) == ([9], "")


def test_times_that_do_not_increase_are_moved_behind_the_frame_before_them():
    times, clock = stamped(10, 10, 3, 13)
    assert times == [10, 11, 12, 13]
    assert clock.in_words() == "2 of them, the first at 0.110 s"


def test_a_begin_before_zero_is_said():
    assert stamped(-50, -46)[1].in_words() == "the overlay begins 0.500 s later, since it cannot begin before 0"


def test_durations_of_frames_are_those_of_the_file():
    assert stamped(0, 10, duration=10)[1].end == 20
