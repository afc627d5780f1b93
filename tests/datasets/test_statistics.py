from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.audit import audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.statistics import suggestions
from pixelwise.recipes.schema import Data


def test_normalisation_is_that_of_all_pixels_of_the_training_split(make_folder: Callable[..., Path]):
    root = make_folder({"train/a": np.zeros((2, 3), np.uint8), "train/b": np.ones((5, 7), np.uint8)})
    pixels = np.concatenate([np.asarray(Image.open(root / f"images/train/{n}.png")).reshape(-1, 3) for n in "ab"]) / 255
    found = audit(open_dataset(Data(), root))
    measured = suggestions(found)
    assert measured is not None
    assert measured.mean == pytest.approx(tuple(pixels.mean(axis=0)))
    assert measured.std == pytest.approx(tuple(pixels.std(axis=0)))
    assert measured.class_weights["median-frequency"] == pytest.approx((1.0, 1.0))
    assert measured.class_weights["inverse-sqrt"][0] > measured.class_weights["inverse-sqrt"][1]
    assert found.sizes.histogram == (((2, 3), 1), ((5, 7), 1))


def test_without_a_training_split_nothing_is_suggested(make_folder: Callable[..., Path]):
    found = audit(open_dataset(Data(), make_folder({"val/a": np.zeros((2, 3), np.uint8)})))
    assert suggestions(found) is None
