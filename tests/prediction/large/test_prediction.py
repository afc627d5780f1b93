"""Predictions of large images in Python."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import tifffile
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from PIL import Image
from prediction.large.images import POSITION, Multilabel, labels_of, saved

from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, RecipeError
from pixelwise.prediction.large.prediction import LargePrediction
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.segmenter import Segmenter

LIMIT = Reading(max_pixels=1000)


def segmenter_of(model: GreyModel | None = None, reading: Reading = LIMIT) -> Segmenter:
    segmenter = Segmenter(model or GreyModel(), palette=PALETTE, reading=reading)
    segmenter.whole_pixels, segmenter.large_window = 1000, (64, 48)
    return segmenter


@pytest.fixture
def path(tmp_path) -> Path:
    return saved(tmp_path / "a.tif", image_of(labels_of()))


def test_a_file_beyond_the_limit_gives_a_prediction_in_parts(path):
    found = segmenter_of().predict(path)

    assert isinstance(found, LargePrediction)
    assert found.size == (131, 167)
    assert np.array_equal(found.labels, labels_of())
    assert found.areas() == dict(zip(CLASSES, np.bincount(labels_of().ravel()).tolist(), strict=True))
    assert "data.max_pixels" in found.reason
    assert isinstance(segmenter_of(reading=Reading()).predict(path), Prediction)


def test_a_part_is_an_ordinary_prediction(path):
    part = segmenter_of().predict(path).part(20, 30, 40, 50)

    assert isinstance(part, Prediction)
    assert np.array_equal(part.labels, labels_of()[20:60, 30:80])
    assert np.array_equal(part.image, image_of(labels_of())[20:60, 30:80])


@pytest.mark.parametrize("where", [(0, 0, 0, 5), (-1, 0, 5, 5), (130, 0, 2, 5), (0, 160, 5, 8)])
def test_a_part_outside_the_image_is_refused(path, where):
    with pytest.raises(ValueError, match="167x131"):
        segmenter_of().predict(path).part(*where)


def test_every_class_of_a_multilabel_network_has_a_plane(tmp_path, path):
    whole = segmenter_of(Multilabel(), Reading()).predict(path)

    found = segmenter_of(Multilabel()).predict(path)

    assert np.array_equal(found.labels, whole.labels)
    assert found.areas() == whole.areas()
    files = found.save(tmp_path / "mask.tif")
    assert [file.name for file in files] == [f"mask-{name}.tif" for name in CLASSES]
    assert np.array_equal(tifffile.imread(files[1]), whole.labels[1] * 255)


def test_mask_and_overlay_are_saved(tmp_path, path):
    found = segmenter_of().predict(path)

    mask, overlay = found.save(tmp_path / "out")

    assert (mask.name, overlay.name) == ("a.tif", "a.jpg")
    with tifffile.TiffFile(mask) as file:
        page = file.pages.first
        assert np.array_equal(page.asarray(), labels_of())
        assert [page.tags[code].value for code, *_ in POSITION] == [value for *_, value, _ in POSITION]
    assert Image.open(overlay).size == (167, 131)
    assert found.overlay(alpha=0).tolist() == image_of(labels_of()).tolist()
    with pytest.raises(RecipeError, match="png") as caught:
        found.save(tmp_path / "mask.png")
    assert caught.value.code == "R217"


@pytest.mark.heavy
def test_the_temporary_file_vanishes_with_the_prediction(path):
    found = segmenter_of().predict(path)
    folder = Path(found._folder.name)
    assert folder.is_dir()

    del found
    gc.collect()

    assert not folder.exists()


def test_it_says_in_a_line_what_it_is(path):
    found = segmenter_of().predict(path)

    assert "167x131" in repr(found)
    assert CLASSES[0] in found._repr_html_()


def test_scores_are_refused_before_anything_is_predicted(path):
    segmenter = segmenter_of()

    with pytest.raises(DataError, match="scores") as caught:
        segmenter.predict(path, scores=True)
    assert caught.value.code == "D120"
    assert segmenter.model.sizes == []  # type: ignore[operator]


def test_a_folder_may_hold_small_and_large_images(tmp_path, path):
    Image.fromarray(image_of(labels_of(20, 30))).save(tmp_path / "b.png")

    found = list(segmenter_of().predict(tmp_path))

    assert [type(one).__name__ for one in found] == ["LargePrediction", "Prediction"]
