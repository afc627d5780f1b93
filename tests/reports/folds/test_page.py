from __future__ import annotations

from pathlib import Path

from pixelwise.reports.folds.page import render_folds_page, write_folds_page
from tests.folds_to_show import FOUND


def test_the_page_shows_regions_with_and_without_a_picture(tmp_path: Path):
    without = render_folds_page(tmp_path, FOUND)
    assert "a&lt;b" in without
    assert "whose mean IoU is 50.00 %" in without
    assert "<img" not in without
    (tmp_path / "label-mistakes/crops").mkdir(parents=True)
    (tmp_path / "label-mistakes/crops/0001.jpg").write_bytes(b"jpeg")
    assert 'src="data:image/jpeg;base64,anBlZw=="' in render_folds_page(tmp_path, FOUND)


def test_the_page_is_the_report_of_the_folder(tmp_path: Path):
    path = write_folds_page(tmp_path, FOUND)
    assert path == tmp_path / "report.html"
    assert path.read_text("utf-8") == render_folds_page(tmp_path, FOUND)
