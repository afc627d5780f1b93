from __future__ import annotations

import json

import msgspec
import pytest

from pixelwise.reports.folds.terminal import in_words, print_folds
from tests.folds_to_show import FOUND, SCORE


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
        "7 regions of 3 images may be labelled wrong (W320); the likeliest:",
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
