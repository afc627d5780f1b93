import io
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from asking import Browser
from PIL import Image
from runs_to_show import large_data, run_on, write_prediction

from pixelwise.pages.app import Site, application
from pixelwise.pages.catalog import Entry
from pixelwise.pages.large.views import halvings_below

SIZE = 20, 1700


def test_when_the_reduced_picture_suffices_by_hand():
    # 1280 pixels, and 2, 3, 8 times as many: at a half, a quarter, an eighth.
    assert [halvings_below((1, side)) for side in (1280, 2560, 2561, 10_240)] == [0, 1, 2, 3]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A run whose result has an image of 20 x 1700 pixels, of which it keeps no picture."""
    data = large_data(tmp_path / "data", SIZE)
    run_on(tmp_path / "runs" / "a", data)
    return Site([tmp_path / "runs"], [data])


def test_a_large_image_of_a_result_is_shown_in_tiles(site: Site, monkeypatch: pytest.MonkeyPatch):
    def whole(entry: object, result: object, image: str, folder: Path) -> None:
        write_prediction(folder, SIZE, 800)

    monkeypatch.setattr(site.networks, "whole", whole)
    browser = Browser(application([], "t", site=site))
    browser.get("/?token=t")
    (id,) = {one.id for one in site.catalog.entries()}
    base = f"/run/{id}/image/0"
    page = browser.get(base).text
    assert 'data-width="1700" data-height="20" data-halvings="2"' in page
    assert re.findall(r'value="(\w+)" data-left-base="/run/\w+/image/0/\1/" data-left-stamp="\w*"', page) == [
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


def test_two_predictions_of_a_large_image_have_a_divider_and_tiles_of_their_own(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run_on(tmp_path / "runs" / "b", tmp_path / "data", 0.5)

    def whole(entry: Entry, result: object, image: str, folder: Path) -> None:
        write_prediction(folder, SIZE, 800 if entry.name.endswith("a") else 950)

    monkeypatch.setattr(site.networks, "whole", whole)
    browser = Browser(application([], "t", site=site))
    browser.get("/?token=t")
    first, second = sorted(site.catalog.entries(), key=lambda entry: entry.name)
    address = f"/compare/{first.id}/{second.id}/image/0"
    page = browser.get(address).text
    assert "+25.00 points of mIoU" in page
    assert "not both run folders keep a picture" in page  # for those without scripts
    sides = re.findall(r'value="(\w+)" data-left-base="/run/(\w+)/[^>]*?(?:data-right-base="/run/(\w+)/[^>]*)?>', page)
    both = first.id, second.id
    assert sides == [("truth", first.id, ""), ("prediction", *both), ("errors", *both)]
    before = set(threading.enumerate())
    for id in both:
        assert browser.get(f"/run/{id}/image/0/whole").status == 200
    for thread in set(threading.enumerate()) - before:
        thread.join()
    for _ in range(2):  # by turns
        for id, value in zip(both, (1, 0), strict=True):
            with Image.open(io.BytesIO(browser.get(f"/run/{id}/image/0/prediction/0-0-1").body)) as picture:
                assert np.asarray(picture)[5, 850 - 512] == value
    assert browser.get(address).text.count('-waits=""') == 5
    assert browser.get(f"/compare/{first.id}/{second.id}/image/1").status == 200  # of which there is no picture
    for place in ("2", "99999"):
        assert browser.get(f"/compare/{first.id}/{second.id}/image/{place}").status == 404
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
