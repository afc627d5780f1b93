from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from pixelwise.records.folds.mistakes import LabelMistake
from pixelwise.records.folds.summary import ClassScore, FoldScore, JointScore, Summary
from pixelwise.reports.folds.page import render_folds_page
from pixelwise.reports.folds.terminal import in_words, print_folds

MISTAKE = LabelMistake(
    rank=1,
    image="a<b",
    labelled="car",
    predicted="road",
    pixels=99,
    confidence=0.9,
    of_label=0.01,
    score=3.0,
    x=1,
    y=2,
    width=3,
    height=4,
    mask_file="/data/masks/a<b.png",
    crop="crops/0001.jpg",
)
SCORE = JointScore(
    protocol="native",
    images=10,
    miou=0.5,
    miou_interval=(0.4, 0.6),
    pixel_accuracy=0.8,
    per_class=(
        ClassScore(name="road", iou=0.7, accuracy=0.8, precision=0.9, pixels=11),
        ClassScore(name="car", iou=None, accuracy=None, precision=None, pixels=0),
    ),
    folds=(
        FoldScore(name="fold-0", images=5, miou=0.45, pixel_accuracy=0.7),
        FoldScore(name="fold-1", images=5, miou=0.55, pixel_accuracy=0.9),
    ),
    mean=0.5,
    std=0.0707,
    interval=(0.1, 0.9),
)
FOUND = Summary(
    folder="runs/x",
    name="unet",
    data="photos",
    folds=2,
    images=10,
    scores=(SCORE,),
    regions=7,
    images_with_mistakes=3,
    mistakes=(MISTAKE,),
    remarks=("1 image could not be read and belongs to no fold.",),
)


def test_a_score_in_words():
    assert in_words(SCORE) == (
        "mIoU 50.00 % [40.00, 60.00] over 10 images, each by the network that has not seen it (native); "
        "folds 50.00 ± 7.07 %, mean [10.00, 90.00]"
    )


def test_folds_classes_and_mistakes_are_printed(capsys: pytest.CaptureFixture[str]):
    print_folds(FOUND, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        "fold-1 5 55.00 90.00",
        "all images 10 50.00 80.00",
        "n/a",
        "W320: 7 regions of 3 images",
        "belongs to no fold",
        "report runs/x/report.html",
    ):
        assert text in said


def test_no_region_is_said_too(capsys: pytest.CaptureFixture[str]):
    print_folds(msgspec.structs.replace(FOUND, regions=0, mistakes=()), as_json=False)
    assert "no region contradicts its label" in capsys.readouterr().out


def test_json_is_the_summary(capsys: pytest.CaptureFixture[str]):
    print_folds(FOUND, as_json=True)
    assert json.loads(capsys.readouterr().out)["mistakes"][0]["predicted"] == "road"


def test_the_page_shows_regions_with_and_without_a_picture(tmp_path: Path):
    without = render_folds_page(tmp_path, FOUND)
    assert "a&lt;b" in without
    assert "<img" not in without
    (tmp_path / "label-mistakes/crops").mkdir(parents=True)
    (tmp_path / "label-mistakes/crops/0001.jpg").write_bytes(b"jpeg")
    assert 'src="data:image/jpeg;base64,anBlZw=="' in render_folds_page(tmp_path, FOUND)


def test_the_summary_shows_itself():
    assert repr(FOUND).startswith("<Cross-validation runs/x")
    assert "mIoU 50.00 % over 10 images (native), folds 50.00 ± 7.07 %" in repr(FOUND)
    assert "<table" in FOUND._repr_html_()
