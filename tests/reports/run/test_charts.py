from __future__ import annotations

import re

import msgspec
import pytest

from pixelwise.records.log import EvaluationRecord, Log, StepRecord
from pixelwise.reports.run.charts import downsampled, smoothed, training_charts
from pixelwise.reports.run.records import read_run


@pytest.fixture(scope="module")
def run(finished_run):
    return read_run(finished_run)


@pytest.fixture(scope="module")
def charts(run):
    return training_charts(run)


def test_loss_validation_and_learning_rate_are_drawn(charts):
    assert [chart.title for chart in charts] == ["Training loss", "mIoU on val, %", "Learning rate"]


def test_each_chart_is_said_in_a_sentence(charts):
    assert "in 60 steps" in charts[0].summary
    assert all(part in charts[1].summary for part in ("val", "native", "59.50 %", "step 60"))
    assert "0.001" in charts[2].summary


def test_charts_are_elements_in_the_colours_and_font_of_the_page(charts):
    for chart in charts:
        assert chart.svg.startswith("<svg")
        assert chart.svg.rstrip().endswith("</svg>")
        assert "var(--accent)" in chart.svg
        assert "var(--sans)" in chart.svg
        assert not re.search(r"#0[1-4]0[1-4]0[1-4]", chart.svg)
        assert "<style" not in chart.svg
        assert "<metadata" not in chart.svg
        assert len(chart.svg) < 60_000


def test_ids_are_unique_in_the_page(charts):
    ids = [name for chart in charts for name in re.findall(r'\bid="([^"]+)"', chart.svg)]

    assert len(ids) == len(set(ids))
    assert ids


def test_every_reference_finds_its_id(charts):
    for chart in charts:
        ids = set(re.findall(r'\bid="([^"]+)"', chart.svg))
        references = re.findall(r'(?:href="|url\()#([^")]+)', chart.svg)
        assert set(references) <= ids


def test_the_same_log_gives_the_same_picture(run, charts):
    assert training_charts(run) == charts


def test_without_a_log_there_are_no_charts(run):
    assert training_charts(msgspec.structs.replace(run, log=Log())) == []


def test_evaluations_without_a_score_are_left_out(run):
    log = Log(
        (
            EvaluationRecord(step=1, split="a", protocol="native", miou=None),
            EvaluationRecord(step=2, split="val", protocol="native", miou=0.25),
        )
    )

    (chart,) = training_charts(msgspec.structs.replace(run, log=log))

    assert chart.title == "mIoU on val, %"
    assert "best 25.00 % at step 2" in chart.summary


def test_a_single_step_is_drawn_too(run):
    log = Log(
        (
            StepRecord(step=1, epoch=1, loss=1.0, lr=0.1),
            EvaluationRecord(step=1, split="val", protocol="native", miou=0.5),
        )
    )

    assert len(training_charts(msgspec.structs.replace(run, log=log))) == 3


def test_long_runs_are_thinned_to_means():
    points = [(step, float(step % 2)) for step in range(10_000)]

    thinned = downsampled(points, 400)

    assert len(thinned) == 400
    assert all(0.4 < value < 0.6 for _, value in thinned)
    assert downsampled([(1, 5.0)], 400) == [(1.0, 5.0)]


def test_smoothing_keeps_constants_and_length():
    assert smoothed([3.0] * 100) == pytest.approx([3.0] * 100)
    assert smoothed([0.0, 3.0, 6.0]) == pytest.approx([1.5, 3.0, 4.5])
