"""`pixelwise.predict`: from a run folder to masks, by a struct of options or by keywords."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from observers import Told
from PIL import Image

import pixelwise
from pixelwise.errors import DataError, RecipeError
from pixelwise.prediction.options import PredictOptions


def test_masks_are_what_the_loaded_run_predicts(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    summary = pixelwise.predict(tiny_run, tiny_data / "images" / "test", tmp_path / "out")

    assert (summary.ok, summary.failed, summary.problems) == (3, 0, ())
    for name in ("00", "01", "02"):
        expected = pixelwise.load(tiny_run).predict(tiny_data / "images" / "test" / f"{name}.png").labels
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / f"{name}.png")), expected)
        assert (tmp_path / "out" / "overlays" / f"{name}.jpg").is_file()


def test_a_struct_and_keywords_mean_the_same_and_keywords_win(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    images = [tiny_data / "images" / "test" / "00.png", str(tiny_data / "images" / "test" / "01.png")]
    pixelwise.predict(tiny_run, images, tmp_path / "a", PredictOptions(overlay=False, window=(32, 48)))
    pixelwise.predict(tiny_run, images, tmp_path / "b", overlay=False, window=(32, 48))
    pixelwise.predict(tiny_run, images, tmp_path / "c", PredictOptions(overlay=False), overlay=True)

    for name in ("00", "01"):
        one, other = ((tmp_path / folder / "masks" / f"{name}.png").read_bytes() for folder in "ab")
        assert one == other
    assert [(tmp_path / folder / "overlays").exists() for folder in "abc"] == [False, False, True]


def test_every_file_is_told_and_a_bad_one_is_skipped_or_raised(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes((tiny_data / "images" / "test" / "00.png").read_bytes())
    (photos / "b.png").write_bytes(b"not an image")
    told: list[tuple[str, int, int | None]] = []
    observer = Told(progress=lambda *progress: told.append(progress))

    summary = pixelwise.predict(tiny_run, photos, tmp_path / "out", observer=observer)

    assert (summary.ok, summary.failed) == (1, 1)
    assert told == [("predicting", 1, 2), ("predicting", 2, 2)]
    with pytest.raises(DataError) as caught:
        pixelwise.predict(tiny_run, photos, tmp_path / "strict", strict=True)
    assert caught.value.code == summary.problems[0].code


def test_an_unknown_option_is_named(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    with pytest.raises(TypeError, match="overlay"):
        pixelwise.predict(tiny_run, tiny_data, tmp_path / "out", overlays=False)
    with pytest.raises(RecipeError) as caught:
        pixelwise.predict(tiny_run, tiny_data, tmp_path / "out", alpha=2)
    assert caught.value.code == "R260"
    assert not (tmp_path / "out").exists()
