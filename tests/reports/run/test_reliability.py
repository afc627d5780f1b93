from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from reports.two_classes import write_two_class_run

from pixelwise.records.result import Result
from pixelwise.records.scores import CalibrationBin
from pixelwise.reports.run.reliability import reliability_of


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return write_two_class_run(tmp_path_factory.mktemp("runs") / "run")


def of(result: Result, *bins: CalibrationBin, error: float = 0.1) -> Result:
    return msgspec.structs.replace(result, calibration=bins, calibration_error=error)


def test_bins_are_rows_without_the_empty_ones(result: Result):
    found = reliability_of(of(result, CalibrationBin(0, 0, 0.0), CalibrationBin(4, 3, 3.6), error=0.15))
    assert found is not None
    (row,) = found.rows
    assert (row.left, row.width, row.sure, row.right, row.weight) == (50, 50, 90, 75, 100)
    assert (row.interval, row.sure_text, row.right_text, row.weight_text) == ("50 to 100", "90.0", "75.0", "100.0")
    assert "90.0 % sure of its class, and 75.0 % of the pixels are right: it is 15.0 points too sure" in found.summary
    assert "is 15.00 %" in found.summary


@pytest.mark.parametrize(
    ("confidence", "said"), [(3.0, "as sure as it may be"), (2.6, "10.0 points less sure than it could be")]
)
def test_a_network_may_be_too_modest(confidence: float, said: str, result: Result):
    found = reliability_of(of(result, CalibrationBin(4, 3, confidence)))
    assert found is not None
    assert said in found.summary


def test_nothing_is_drawn_of_what_was_not_measured(result: Result):
    assert reliability_of(of(result)) is None
    assert reliability_of(of(result, CalibrationBin(0, 0, 0.0))) is None


def test_the_bins_of_an_evaluation_give_its_error(result: Result):
    total = sum(one.pixels for one in result.calibration)
    assert (len(result.calibration), total) == (15, result.labelled_pixels)
    error = sum(abs(one.right - one.confidence) for one in result.calibration) / total
    assert error == pytest.approx(result.calibration_error)


def test_they_survive_the_file(result: Result, tmp_path: Path):
    from pixelwise.records.result import from_json, to_json

    assert from_json(to_json(result)).calibration == result.calibration
