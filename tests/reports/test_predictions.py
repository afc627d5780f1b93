import json
from pathlib import Path

import pytest

from pixelwise.prediction.receipts.shares import Share
from pixelwise.prediction.receipts.summaries import PredictSummary
from pixelwise.records.problems import Problem
from pixelwise.reports.predictions import show_summary

PROBLEM = Problem(file="a.jpg", code="D101", message="cut short", help="copy it again")


def test_a_line_counts_the_images(capsys: pytest.CaptureFixture[str]):
    show_summary(PredictSummary(ok=3, failed=0, problems=(), seconds=2.0), Path("out"))
    assert capsys.readouterr().out == "3 images, 3 ok, 0 failed, 1.5 img/s -> out\n"


def test_what_was_kept_is_said_and_has_no_speed(capsys: pytest.CaptureFixture[str]):
    show_summary(PredictSummary(ok=4, kept=2, failed=0, problems=(), seconds=0.5), Path("out"))
    first, second = capsys.readouterr().out.splitlines()
    assert first == "4 images, 4 ok, 0 failed, 4.0 img/s -> out"
    assert second == "2 of them predicted earlier and kept; `--again` predicts all of them"
    show_summary(PredictSummary(ok=4, kept=4, failed=0, problems=(), seconds=0.5), Path("out"))
    assert capsys.readouterr().out.splitlines()[0] == "4 images, 4 ok, 0 failed -> out"


def test_the_problems_of_a_part_are_in_its_own_file(capsys: pytest.CaptureFixture[str]):
    show_summary(PredictSummary(ok=0, failed=1, problems=(PROBLEM,), seconds=0.5), Path("out"), Share(3, 8))
    assert str(Path("out", "problems-3-of-8.jsonl")) in capsys.readouterr().out


def test_failed_ones_are_pointed_to(capsys: pytest.CaptureFixture[str]):
    show_summary(PredictSummary(ok=1, failed=1, problems=(PROBLEM,), seconds=0.0), Path("out"))
    assert "problems.jsonl" in capsys.readouterr().out


def test_as_json_it_is_the_summary(capsys: pytest.CaptureFixture[str]):
    show_summary(PredictSummary(ok=1, failed=1, problems=(PROBLEM,), seconds=1.0), Path("out"), as_json=True)
    plain = json.loads(capsys.readouterr().out)
    assert (plain["ok"], plain["problems"][0]["code"]) == (1, "D101")


def test_videos_are_counted_with_their_frames(capsys):
    show_summary(PredictSummary(ok=3, failed=0, problems=(), seconds=2.0, videos=1, frames=250), Path("out"))
    assert capsys.readouterr().out == "2 images and 1 video (250 frames), 3 ok, 0 failed -> out\n"
    show_summary(PredictSummary(ok=2, failed=0, problems=(), seconds=2.0, videos=2, frames=9), Path("out"))
    assert capsys.readouterr().out == "2 videos (9 frames), 2 ok, 0 failed -> out\n"
