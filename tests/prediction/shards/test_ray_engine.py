from __future__ import annotations

from pathlib import Path

import pytest
from prediction.shards.killing import killed_workers
from prediction.shards.photos import make_photos, masks_in, tree_hash

import pixelwise
from pixelwise.errors import RecipeError
from pixelwise.prediction.shards import units as units_module

pytest.importorskip("ray")


@pytest.mark.heavy  # Ray starts in ten seconds, and each worker in five
def test_workers_that_are_killed_leave_what_one_process_leaves(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(units_module, "MEAN_LENGTH", 8)
    photos = make_photos(tmp_path / "photos", 400, bad=(7, 300))
    here = pixelwise.predict(tiny_run, photos, tmp_path / "here", tars=True)
    with killed_workers() as killed:
        ray = pixelwise.predict(tiny_run, photos, tmp_path / "ray", tars=True, engine="ray")
    assert killed
    assert (ray.ok, ray.kept, ray.problems) == (here.ok, 0, here.problems)
    assert len(masks_in(tmp_path / "ray")) == 2 * 398
    assert tree_hash(tmp_path / "ray") == tree_hash(tmp_path / "here")

    with pytest.raises(RecipeError) as caught:
        pixelwise.predict(tiny_run, photos, tmp_path / "many", tars=True, engine="ray", workers=1000)
    assert caught.value.code == "R252"
