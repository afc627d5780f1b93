from __future__ import annotations

from pathlib import Path

import pytest
from prediction.shards.photos import make_photos, masks_in, table_of, tree_hash

import pixelwise
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.errors import RecipeError
from pixelwise.prediction.shards import units as units_module


@pytest.mark.heavy
def test_masks_in_tars_are_those_of_files(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    pixelwise.predict(tiny_run, tiny_data / "images", tmp_path / "files")
    summary = pixelwise.predict(tiny_run, tiny_data / "images", tmp_path / "tars", tars=True)

    assert (summary.ok, summary.kept, summary.failed) == (14, 0, 0)
    found = masks_in(tmp_path / "tars")
    assert len(found) == 28
    for path in (tmp_path / "files" / "masks").rglob("*.png"):
        name = path.relative_to(tmp_path / "files" / "masks").with_suffix("").as_posix()
        assert found[f"{name}.mask.png"] == path.read_bytes()
        assert found[f"{name}.overlay.jpg"] == (tmp_path / "files" / "overlays" / f"{name}.jpg").read_bytes()
    assert (tmp_path / "tars" / "classes.json").read_bytes() == (tmp_path / "files" / "classes.json").read_bytes()
    assert len(table_of(tmp_path / "tars")) == 14


@pytest.mark.heavy
def test_parts_of_an_array_leave_what_one_call_leaves(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    shards = shard(tiny_data, tmp_path / "shards", size="20kB").root
    pixelwise.predict(tiny_run, shards, tmp_path / "one", tars=True)
    kept = []
    for number in (2, 0, 1):
        assert not (tmp_path / "parts" / "predictions.parquet").exists()
        summary = pixelwise.predict(tiny_run, shards, tmp_path / "parts", tars=True, shard=f"{number}/3")
        kept.append(summary.kept)
    assert kept == [0, 0, 0]
    assert tree_hash(tmp_path / "one") == tree_hash(tmp_path / "parts")
    assert pixelwise.predict(tiny_run, shards, tmp_path / "parts", tars=True).kept == 14


@pytest.mark.heavy
def test_a_prediction_that_was_stopped_goes_on(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_data: Path
):
    monkeypatch.setattr(units_module, "MEAN_LENGTH", 4)
    photos = make_photos(tmp_path / "photos", 30, bad=(7,))
    whole = pixelwise.predict(tiny_run, photos, tmp_path / "whole", tars=True, overlay=False)
    assert (whole.ok, whole.failed) == (29, 1)

    class Stopping(pixelwise.Observer):
        def progress(self, done: int, total: int | None) -> None:
            if done == 17:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pixelwise.predict(tiny_run, photos, tmp_path / "out", tars=True, overlay=False, observer=Stopping())
    assert not (tmp_path / "out" / "predictions.parquet").exists()
    summary = pixelwise.predict(tiny_run, photos, tmp_path / "out", tars=True, overlay=False)
    assert (summary.ok, summary.failed) == (29, 1)
    assert 0 < summary.kept <= 17
    assert tree_hash(tmp_path / "whole") == tree_hash(tmp_path / "out")


def test_the_input_is_never_the_output(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    shards = shard(tiny_data, tmp_path / "shards", size="1MB").root
    with pytest.raises(RecipeError) as caught:
        pixelwise.predict(tiny_run, shards, shards, tars=True)
    assert caught.value.code == "R220"


@pytest.mark.heavy
def test_other_options_need_another_output(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    pixelwise.predict(tiny_run, tiny_data / "images" / "test", tmp_path / "out", tars=True)
    with pytest.raises(RecipeError) as caught:
        pixelwise.predict(tiny_run, tiny_data / "images" / "test", tmp_path / "out", tars=True, overlay=False)
    assert caught.value.code == "R221"
