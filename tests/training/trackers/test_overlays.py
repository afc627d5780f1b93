from pathlib import Path

import numpy as np
import pytest
from tracked_runs import draw

from pixelwise.records.pictures import Moment, Pictures, read_pictures
from pixelwise.training.trackers.overlays import overlays, worth_sending


@pytest.mark.parametrize(
    ("steps", "before", "last", "chosen"),
    [
        ((10, 20, 30, 40, 50), 0, False, [10, 20, 40]),
        ((10, 20, 30, 40, 50), 0, True, [10, 20, 40, 50]),
        ((10, 20, 30, 40, 50), 20, False, [40]),
        ((10, 20, 30, 40, 50), 50, True, []),
        ((), 0, True, []),
    ],
)
def test_each_is_twice_as_far_as_the_one_before_and_the_last_one_is_sent(steps, before, last, chosen):
    found = Pictures(moments=tuple(Moment(step=number, layers=()) for number in steps))
    assert [moment.step for moment in worth_sending(found, before, last=last)] == chosen


def test_the_colours_are_half_over_the_photo_where_there_is_a_prediction(tmp_path: Path):
    draw(tmp_path, 7)
    found = read_pictures(tmp_path)
    (picture,) = overlays(tmp_path, found, found.moments[0])
    assert (picture.id, picture.step, picture.pixels.shape, picture.pixels.dtype) == ("a/1", 7, (4, 6, 3), np.uint8)
    # 0.5 * (200, 0, 0) + 0.5 * (100, 100, 100)
    assert np.abs(picture.pixels[:, :3].astype(int) - (150, 50, 50)).max() <= 1
    assert (picture.pixels[:, 3:] == 100).all()
