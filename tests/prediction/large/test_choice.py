from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.samples import Reading
from pixelwise.prediction.large import choice as module
from pixelwise.prediction.large.choice import reason_for_parts


@pytest.fixture
def path(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((50, 60, 4), np.uint16), photometric="rgb")
    return tmp_path / "a.tif"


def test_an_image_that_fits_is_decoded_whole(path):
    assert reason_for_parts(path, Reading(), 4) == ""


def test_more_pixels_than_are_decoded_at_once_are_a_reason(path):
    reason = reason_for_parts(path, Reading(max_pixels=2000), 4)

    assert "data.max_pixels" in reason
    assert reason_for_parts(path, Reading(max_pixels=3000), 4) == ""


def test_whoever_asks_decides(path):
    assert "`parts_above`" in reason_for_parts(path, Reading(), 4, above=2999)
    assert reason_for_parts(path, Reading(max_pixels=10), 4, above=3000) == ""


def test_too_little_memory_is_a_reason(path, monkeypatch):
    # 8 bytes as stored, 4 for the network and 11 for the rest: 3000 pixels need 69,000 bytes.
    monkeypatch.setattr(module, "_SMALL_PIXELS", 1000)
    monkeypatch.setattr(module, "available_memory", lambda: 2 * 69_000)
    assert reason_for_parts(path, Reading(), 4) == ""

    monkeypatch.setattr(module, "available_memory", lambda: 2 * 69_000 - 1)
    assert "free memory" in reason_for_parts(path, Reading(), 4)


def test_other_formats_are_never_read_in_parts(tmp_path):
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(tmp_path / "a.png")

    assert reason_for_parts(tmp_path / "a.png", Reading(max_pixels=10), 3, above=5) == ""
