"""The contract of every tracker, built-in or of another package."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracked_runs import at_home

from pixelwise.testing import check_tracker
from pixelwise.training.trackers.tracker import OWN_LOG, TRACKERS


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.heavy] if name == "mlflow" else []) for name in TRACKERS.own()]
)
def test_a_tracker_keeps_the_contract(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != OWN_LOG:
        pytest.importorskip(name)
    at_home(monkeypatch, tmp_path)
    check_tracker(name, tmp_path / "runs")
