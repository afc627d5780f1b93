from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import psutil
import pytest
from prediction.shards.photos import make_photos, masks_in, tree_hash

import pixelwise
from pixelwise.errors import RecipeError
from pixelwise.prediction.shards import units as units_module

pytest.importorskip("ray")


def kill_workers(killed: list[int], stop: threading.Event) -> None:
    """Kill the worker of Ray of this process, three times, a moment after it has begun to write."""
    while not stop.is_set() and len(killed) < 3:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.name().startswith("ray::MapWorker") and process.cpu_times().user > 2:
                    process.kill()
                    killed.append(process.pid)
        time.sleep(0.1)


@pytest.mark.heavy  # Ray starts in ten seconds, and each worker in five
def test_workers_that_are_killed_leave_what_one_process_leaves(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(units_module, "MEAN_LENGTH", 8)
    photos = make_photos(tmp_path / "photos", 400, bad=(7, 300))
    here = pixelwise.predict(tiny_run, photos, tmp_path / "here", tars=True)
    killed: list[int] = []
    stop = threading.Event()
    killer = threading.Thread(target=kill_workers, args=(killed, stop))
    killer.start()
    try:
        ray = pixelwise.predict(tiny_run, photos, tmp_path / "ray", tars=True, engine="ray")
    finally:
        stop.set()
        killer.join()
    assert killed
    assert (ray.ok, ray.kept, ray.problems) == (here.ok, 0, here.problems)
    assert len(masks_in(tmp_path / "ray")) == 2 * 398
    assert tree_hash(tmp_path / "ray") == tree_hash(tmp_path / "here")

    with pytest.raises(RecipeError) as caught:
        pixelwise.predict(tiny_run, photos, tmp_path / "many", tars=True, engine="ray", workers=1000)
    assert caught.value.code == "R252"
