import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from compared_runs import drawn, scored_run

from pixelwise.evaluation.comparison.comparing import compare_runs
from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.reports.comparison.rendering import render, render_html


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("runs")
    truth = np.full((20, 3), 100)
    runs = [
        scored_run(
            folder / name, drawn(np.random.default_rng(seed), truth, np.full(3, accuracy)),
            overrides=(f"optimizer.lr=0.{seed}",),
        )
        for seed, (name, accuracy) in enumerate((("<i>a</i>".replace("/", "|"), 0.6), ("b_1", 0.9)), 1)
    ]  # fmt: skip
    return compare_runs(runs, CompareOptions(resamples=200))


def test_every_format_says_the_verdict_or_the_numbers(found: Comparison):
    assert found.verdict in render(found, "terminal")
    plain = json.loads(render(found, "json"))
    assert plain["verdict"] == found.verdict
    assert plain["pairs"][0]["miou"]["separated"] is True
    assert {name: one["separated"] for name, one in plain["pairs"][0]["per_class"].items()} == {
        name: one.separated for name, one in found.pairs[0].per_class.items()
    }
    rows = list(csv.DictReader(io.StringIO(render(found, "csv"))))
    difference = next(row for row in rows if row["kind"] == "difference" and not row["class"])
    assert float(difference["value"]) == found.pairs[0].miou.value
    assert difference["separated"] == "true"
    assert len(rows) == 2 * 4 + 4


def test_scores_of_several_runs_have_their_deviation(tmp_path: Path):
    truth = np.full((20, 3), 100)
    runs = [
        scored_run(
            tmp_path / f"{seed}", drawn(np.random.default_rng(seed), truth, np.full(3, 0.8)), seed,
            boundary_miou=0.25 * seed, calibration_error=0.125 * seed,
        )
        for seed in (1, 3)
    ]  # fmt: skip
    found = compare_runs(runs, CompareOptions(resamples=200))
    rows = list(csv.DictReader(io.StringIO(render(found, "csv"))))
    score, *classes, boundary, calibration = rows
    first, second = found.sides[0].runs_miou
    assert float(score["deviation"]) == pytest.approx(abs(first - second) / 2**0.5)
    assert {row["runs"] for row in rows} == {"2"}
    assert [row["class"] for row in classes] == ["grass", "path", "hut"]
    assert all(float(row["deviation"]) > 0 for row in classes)
    assert (boundary["kind"], float(boundary["value"])) == ("boundary_miou", 0.5)
    assert (calibration["kind"], float(calibration["value"])) == ("calibration_error", 0.25)


def test_names_are_not_markup(found: Comparison):
    assert "&lt;i&gt;" in render_html(found, "x", (("report", "a/report.html"),))
    assert "<i>" not in render_html(found)
    assert "b\\_1" in render(found, "md")
    assert "\\<i\\>" in render(found, "md")
