from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import DataError
from pixelwise.records.folds.summary import read_summary, write_summary
from tests.folds_to_show import FOUND


def test_what_was_written_is_read(tmp_path: Path):
    write_summary(tmp_path, FOUND)
    assert read_summary(tmp_path) == FOUND


def test_a_missing_or_damaged_summary_says_how_to_get_one(tmp_path: Path):
    for text in (None, "{"):
        if text is not None:
            (tmp_path / "summary.json").write_text(text, "utf-8")
        with pytest.raises(DataError, match=r"summary\.json") as caught:
            read_summary(tmp_path)
        assert "pixelwise resume" in caught.value.help


def test_the_summary_shows_itself():
    assert repr(FOUND).startswith("<Cross-validation runs/x")
    assert "mIoU 50.00 % over 10 images (native), folds 50.00 ± 7.07 %" in repr(FOUND)
    assert "<table" in FOUND._repr_html_()


def test_regions_are_said_with_the_score_of_the_networks_that_contradict_the_labels():
    assert FOUND.regions_in_words().startswith(
        "7 regions of 3 images may be labelled wrong, say networks whose mean IoU is 50.00 %; the lower it is"
    )
