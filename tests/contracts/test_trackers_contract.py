"""The contract of every tracker, built-in or of another package."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.testing import check_tracker
from pixelwise.training.trackers.tracker import TRACKERS


@pytest.mark.parametrize("name", TRACKERS.own())
def test_a_tracker_keeps_the_contract(name: str, tmp_path: Path) -> None:
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    check_tracker(name, tmp_path)
