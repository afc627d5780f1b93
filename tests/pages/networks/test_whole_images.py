import shutil
from pathlib import Path

import numpy as np
import pytest

import pixelwise
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.errors import region_kinds
from pixelwise.pages.evaluated import open_entry
from pixelwise.pages.large.files import PREDICTION, REGIONS
from pixelwise.pages.networks import whole_images
from pixelwise.pages.networks.predicting import Predictor

pytestmark = pytest.mark.heavy


def test_files_hold_what_was_scored(tiny_run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    pixelwise.evaluate(run, split="test")
    catalog = Catalog([run, tiny_data])
    opened = open_entry(catalog.entries()[0])
    predictor, id = Predictor(catalog), opened.evaluated.per_image[0].id
    shown = predictor.predict(opened.entry, opened.result, id)
    for name in ("whole", "in parts"):
        (tmp_path / name).mkdir()
        predictor.predict_whole(opened.entry, opened.result, id, tmp_path / name)
        found = np.frombuffer((tmp_path / name / PREDICTION).read_bytes(), np.uint8).reshape(shown.truth.shape)
        assert np.array_equal(found, shown.prediction), name  # one window holds all of so small an image
        regions = np.frombuffer((tmp_path / name / REGIONS).read_bytes(), np.uint8).reshape(shown.truth.shape)
        assert np.array_equal(regions, region_kinds(shown.truth, shown.prediction)), name
        monkeypatch.setattr(whole_images, "AT_ONCE", 0)
    with pytest.raises((Refused, OSError)):
        predictor.predict_whole(opened.entry, opened.result, id, tmp_path / "removed")
    with pytest.raises(Refused, match="no longer has"):
        predictor.predict_whole(opened.entry, opened.result, "unknown", tmp_path / "whole")
