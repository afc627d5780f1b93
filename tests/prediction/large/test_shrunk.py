"""Images that are shrunk part by part against those that are shrunk whole."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation.color_model import GreyModel

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.prediction.large import shrunk as module
from pixelwise.prediction.large.shrunk import shrunk_blocks, shrunken
from pixelwise.prediction.network import decide, main_logits, prediction_mode
from pixelwise.prediction.sizes import RESIZE
from pixelwise.recipes.protocols import PROTOCOLS, Protocol


def image_of(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


def reader(image: np.ndarray, missing: np.ndarray | None = None, places: list[Rectangle] | None = None):
    def read(where: Rectangle) -> Region:
        if places is not None:
            places.append(where)
        rows, columns = slice(where.top, where.bottom), slice(where.left, where.right)
        return Region(image[rows, columns], None if missing is None else missing[rows, columns])

    return read


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_pillows_filter_gives_the_same_bytes(monkeypatch, channels):
    monkeypatch.setattr(module, "ROWS", 32)
    image = image_of(201, 157, channels)

    found = shrunken(reader(image), (201, 157), (37, 41), "antialiased")

    assert np.array_equal(found, RESIZE["antialiased"](image, (37, 41)))


@pytest.mark.parametrize("resampling", ["linear", "area"])
def test_opencvs_filters_differ_by_rounding_alone(monkeypatch, resampling):
    monkeypatch.setattr(module, "ROWS", 32)
    image = image_of(201, 157)

    found = shrunken(reader(image), (201, 157), (37, 41), resampling)

    assert np.abs(found.astype(int) - RESIZE[resampling](image, (37, 41))).max() <= 1


@pytest.mark.parametrize(
    "rules",
    [
        PROTOCOLS["native"],
        Protocol(name="x", summary="", pad_to=(90, 100), argmax_at="input"),
        Protocol(name="x", summary="", window=(32, 32), window_stride=(24, 24)),
    ],
    ids=["whole", "padded", "windows"],
)
def test_blocks_are_the_decision_of_the_whole(monkeypatch, rules):
    monkeypatch.setattr(module, "ROWS", 64)
    monkeypatch.setattr(module, "COLUMNS", 50)
    image, seen, missing = image_of(301, 207), image_of(75, 60), np.zeros((301, 207), bool)
    missing[40:200, 10:70] = True
    model, places = GreyModel(stride=2).eval(), []
    labels, shown = np.zeros((301, 207), np.uint8), np.zeros_like(image)

    with prediction_mode(model):
        for where, own, pixels, _ in shrunk_blocks(model, reader(image, missing, places), (301, 207), seen, rules):
            labels[where.top : where.bottom, where.left : where.right] = own
            shown[where.top : where.bottom, where.left : where.right] = pixels
        if rules.window is None:
            output = main_logits(model, [seen], pad_to=rules.pad_to)
            expected = decide(model, output, (75, 60), (301, 207), rules).labels.numpy()
            assert np.array_equal(labels, np.where(missing, 255, expected))

    assert np.array_equal(shown, image)
    assert (labels[missing] == 255).all()
    # Read once each, in parts of at least so many rows, though bands of class ids are thinner.
    assert sum(where.height * where.width for where in places) == 301 * 207
    assert {where.width for where in places} == {50, 7}
