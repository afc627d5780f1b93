from __future__ import annotations

import pytest

from pixelwise.errors import DataError
from pixelwise.records.suspects import Suspect, load_suspects, save_suspects

BOX = {"x": 10, "y": 20, "width": 30, "height": 40, "image_width": 640, "image_height": 480}
SMALL = Suspect(image="=a,b", labelled="road", predicted="-car", pixels=100, confidence=0.91, **BOX)
LARGE = Suspect(image="c", labelled="car", predicted="road", pixels=900, confidence=0.95, **BOX)


def test_suspects_survive_the_disk_with_the_largest_first(tmp_path):
    save_suspects([SMALL, LARGE], tmp_path)

    assert load_suspects(tmp_path) == (LARGE, SMALL)
    first, second, *_ = (tmp_path / "suspects.csv").read_text().splitlines()
    assert first.startswith("image,labelled,predicted,pixels,confidence,x,y,")
    assert second == "c,car,road,900,0.95,10,20,30,40,640,480"


def test_no_suspects_are_something_else_than_no_file(tmp_path):
    assert load_suspects(tmp_path) is None
    save_suspects([], tmp_path)

    assert load_suspects(tmp_path) == ()


def test_a_damaged_file_is_an_error_with_its_name(tmp_path):
    (tmp_path / "suspects.csv").write_text("image,labelled\na,b\n")

    with pytest.raises(DataError, match=r"suspects\.csv") as caught:
        load_suspects(tmp_path)

    assert caught.value.code == "D240"
