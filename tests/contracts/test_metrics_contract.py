"""Every registered metric keeps the contract, and its values have a place in results and tables."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import GreyModel, write_dataset

from pixelwise.evaluation.assembling import Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.metrics import METRICS, SCORES
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.result import from_json, to_json
from pixelwise.records.scores import CLASS_FIELDS, RESULT_FIELDS
from pixelwise.testing import check_metric

NAMES = sorted(METRICS.own())
PROVENANCE = Provenance(
    recipe="x", recipe_hash="", weights_sha256="", weights="model", step=0, data_fingerprint="", command=""
)


def test_the_built_in_metrics_are_these() -> None:
    assert set(NAMES) == {*SCORES, "miou_interval", "boundary_iou", "calibration_error"}
    usual = {name for name in NAMES if METRICS[name].default}
    assert usual == {*SCORES, "miou_interval", "boundary_iou"}


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_keeps_the_contract(name: str) -> None:
    check_metric(name)


def test_every_value_is_in_the_result_and_none_twice(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pairs = [(random.integers(0, 3, (9, 11)).astype(np.uint8), random.integers(0, 3, (9, 11)).astype(np.uint8))] * 2
    dataset = write_dataset(tmp_path, pairs)
    measured = evaluate_model(GreyModel(), dataset, "val", PROTOCOLS["native"], metrics=tuple(NAMES))
    result = make_result(measured, PROVENANCE)
    plain = json.loads(to_json(result))
    for name, found in measured.values.items():
        assert name not in result.metrics
        if name == "miou_interval":
            assert tuple(plain["miou_interval"]) == found.interval
        if not math.isnan(found.value):
            assert plain[RESULT_FIELDS[name]] == found.value
        for class_id, value in enumerate(found.per_class):
            if not math.isnan(value):
                assert plain["per_class"][class_id][CLASS_FIELDS[name]] == value
    assert to_json(from_json(to_json(result))) == to_json(result)


def test_the_documentation_names_every_metric() -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text("utf-8")
    assert [name for name in NAMES if f"| `{name}` |" not in document] == []
