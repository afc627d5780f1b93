import io
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from asking import Browser
from PIL import Image
from runs_to_show import shown_run

import pixelwise
from pixelwise.pages.app import Site, application
from pixelwise.pages.large.files import PREDICTION, REGIONS
from pixelwise.pages.large.views import halvings_below
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.records.environment import Arguments, Environment, write_environment

SIZE = 20, 1700


def test_when_the_reduced_picture_suffices_by_hand():
    # 1280 pixels, and 2, 3, 8 times as many: at a half, a quarter, an eighth.
    assert [halvings_below((1, side)) for side in (1280, 2560, 2561, 10_240)] == [0, 1, 2, 3]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A run whose result has an image of 20 x 1700 pixels, of which it keeps no picture."""
    run, data = shown_run(tmp_path / "runs" / "a"), tmp_path / "data"
    shutil.rmtree(run / "evaluations" / "val-native" / "samples")
    for kind in ("images", "masks"):
        (data / kind / "val").mkdir(parents=True)
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(data / "images" / "val" / "one.png")
    mask = np.zeros(SIZE, np.uint8)
    mask[:, 900:] = 1
    Image.fromarray(mask).save(data / "masks" / "val" / "one.png")
    (data / "dataset.toml").write_text('classes = ["grass", "path"]')
    recipe = apply_overrides(pixelwise.recipe("enet-camvid"), ["data.dataset=folder", "data.classes=[grass,path]"])
    (run / "recipe.toml").write_text(to_toml(recipe))
    write_environment(run, Environment(arguments=Arguments(data=str(data))))
    return Site([tmp_path / "runs"], [data])


def test_a_large_image_of_a_result_is_shown_in_tiles(site: Site, monkeypatch: pytest.MonkeyPatch):
    def whole(entry: object, result: object, image: str, folder: Path) -> None:
        prediction = np.zeros(SIZE, np.uint8)
        prediction[:, 800:] = 1
        (folder / PREDICTION).write_bytes(prediction.tobytes())
        (folder / REGIONS).write_bytes(np.full(SIZE, 4, np.uint8).tobytes())

    monkeypatch.setattr(site.networks, "whole", whole)
    browser = Browser(application([], "t", site=site))
    browser.get("/?token=t")
    (id,) = {one.id for one in site.catalog.entries()}
    base = f"/run/{id}/image/0"
    page = browser.get(base).text
    assert 'data-width="1700" data-height="20" data-halvings="2"' in page
    assert re.findall(r'value="(\w+)" data-base="/run/\w+/image/0/\1/" data-stamp="(?:\w*)"', page) == [
        "truth", "prediction", "errors",
    ]  # fmt: skip
    assert browser.get(f"{base}/photo/0-0-3").headers["content-type"] == "image/jpeg"
    assert browser.get(f"{base}/prediction/2-0-0").status == 404  # not yet
    before = set(threading.enumerate())
    assert browser.get(f"{base}/whole").status == 200
    for thread in set(threading.enumerate()) - before:
        thread.join()
    stamp = re.search(r'"stamp":"([\w-]+)"', browser.get(f"{base}/whole").text)
    assert stamp
    expected = {"truth": [0, 0, 1], "prediction": [0, 1, 1], "errors": [255, 3, 255]}
    for layer, values in expected.items():
        answer = browser.get(f"{base}/{layer}/0-0-1?v={stamp[1]}")
        with Image.open(io.BytesIO(answer.body)) as picture:
            # Columns 700, 850 and 950: right, wrong and away from the border at 900, right.
            assert np.asarray(picture)[5, [188, 338, 438]].tolist() == values
        assert ("immutable" in answer.headers["cache-control"]) == (layer != "truth")
    for place in ("0-1-0", "3-0-0", "0-0-4"):
        assert browser.get(f"{base}/errors/{place}").status == 404
    assert browser.get(f"{base}/other/0-0-0").status == 404
    assert browser.get(f"/run/{id}/image/1/whole").status == 404  # the data set has no such image
    site.close()


def test_images_of_other_folders_are_not_shown(site: Site, tmp_path: Path):
    other = Site([tmp_path / "runs"])
    browser = Browser(application([], "t", site=other))
    browser.get("/?token=t")
    (id,) = {one.id for one in other.catalog.entries()}
    page = browser.get(f"/run/{id}/image/0").text
    assert "deep.js" not in page
    assert "Its picture is not kept" in page
    assert browser.get(f"/run/{id}/image/0/photo/0-0-0").status == 404
    other.close()
