from __future__ import annotations

import numpy as np
import pytest

from pixelwise.evaluation.suspects import Predicted, suspect_regions

CLASSES = ("grass", "path", "pond")


def predicted(**changes) -> Predicted:
    """60x80 of grass in the labels, with a sure 10x12 path in the prediction, at half the size of the image."""
    truth, prediction = np.zeros((60, 80), np.uint8), np.zeros((60, 80), np.uint8)
    prediction[20:30, 40:52] = 1
    image, confidence = np.zeros((120, 160, 3), np.uint8), np.full((60, 80), 0.95, np.float32)
    return Predicted(image, truth, prediction, confidence)._replace(**changes)


def test_a_sure_region_of_another_class_is_found_with_its_box_in_the_image():
    (found,) = suspect_regions(predicted(), "street", CLASSES)

    assert (found.image, found.labelled, found.predicted, found.pixels) == ("street", "grass", "path", 120)
    assert (found.x, found.y, found.width, found.height) == (80, 40, 24, 20)
    assert (found.image_width, found.image_height) == (160, 120)
    assert found.confidence == pytest.approx(0.95)


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": np.full((60, 80), 0.8, np.float32)},
        {"confidence": None},
        {"truth": np.full((60, 80), 255, np.uint8)},
    ],
)
def test_unsure_unknown_and_ignored_pixels_are_no_suspects(changes):
    assert suspect_regions(predicted(**changes), "street", CLASSES) == []


def test_borders_in_the_wrong_place_are_no_suspects():
    truth = np.zeros((60, 80), np.uint8)
    truth[:, 40:] = 1
    prediction = np.zeros((60, 80), np.uint8)
    prediction[:, 44:] = 1

    assert suspect_regions(predicted(truth=truth, prediction=prediction), "street", CLASSES) == []


def test_small_regions_are_left_out_and_only_the_largest_are_kept(monkeypatch):
    monkeypatch.setattr("pixelwise.evaluation.suspects.PER_IMAGE", 5)
    prediction = np.zeros((200, 200), np.uint8)
    for place in range(7):
        prediction[20 * place : 20 * place + 10, : 10 + place] = 1 + place % 2
    prediction[180:187, 100:109] = 1  # 63 pixels
    labels = np.zeros((200, 200), np.uint8)
    shown = Predicted(np.zeros((200, 200, 3), np.uint8), labels, prediction, np.ones((200, 200), np.float32))

    found = suspect_regions(shown, "street", CLASSES)

    assert [one.pixels for one in found] == [160, 150, 140, 130, 120]
    assert {one.predicted for one in found} == {"path", "pond"}
