import io
import os
import re
import time
from pathlib import Path

import pytest
from asking import Browser
from data_to_show import shown_data
from editing import edited_data
from PIL import Image

from pixelwise.pages.app import Site, application


def asking(data: list[Path], runs: list[Path] = []) -> Browser:  # noqa: B006
    browser = Browser(application(runs, "t", data=data))
    browser.get("/data?token=t")
    return browser


def done(browser: Browser, address: str) -> str:
    """The text of a page when its data set has been examined."""
    ended = time.monotonic() + 60
    while time.monotonic() < ended:
        text = browser.get(address).text
        if 'hx-trigger="load' not in text:
            return text
        time.sleep(0.01)
    pytest.fail("the data set was not examined")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return shown_data(tmp_path / "photos")


def test_one_data_set_is_the_page(data: Path, tmp_path: Path):
    browser = asking([data])
    address = browser.get("/data").headers["location"]
    text = done(browser, address)
    assert "1 to 6 of 6" in text
    assert "&lt;b&gt;sky&lt;/b&gt;" in text
    assert "<b>sky</b>" not in text
    assert " style=" not in text
    assert text.count("<script") == text.count("<script src=")
    several = asking([data, shown_data(tmp_path / "others")])
    assert several.get("/data").text.count('href="/data/') == 2
    assert "No data set was named" in asking([]).get("/data").text


def test_pages_of_a_data_set(data: Path):
    browser = asking([data])
    base = browser.get("/data").headers["location"]
    done(browser, base)
    image = browser.get(f"{base}/image/2?split=train").text
    assert "mask contains 77" in image
    assert f'href="{base}/image/1?split=train" rel="prev"' in image
    assert f'href="{base}/image/3?split=train" rel="next"' in image
    assert "identical content" in browser.get(f"{base}/duplicates").text
    assert "No result on this data was found" in browser.get(f"{base}/mistakes").text
    none = browser.get(f"{base}?code=D101").text
    assert "No images" in none
    for wrong in ("/image/6", "/image/0/secret", "/thumbnail/9/photo", "/region/0/1-2-3", "/region/0/60-0-9-9-64-48"):
        assert browser.get(base + wrong).status == 404
    assert browser.get("/data/0123456789ab").status == 404


def test_pictures_are_kept_as_long_as_their_files_stay(data: Path):
    browser = asking([data])
    base = browser.get("/data").headers["location"]
    text = done(browser, base)
    pictures = re.findall(r'src="(/data/[^"]+)"', text)
    assert len(pictures) == 12
    for address in pictures:
        answer = browser.get(address)
        assert answer.headers["content-type"] in ("image/jpeg", "image/png")
        assert "immutable" in answer.headers["cache-control"]
    assert browser.get(pictures[0].partition("?")[0]).headers["cache-control"] == "no-store"
    assert browser.get(f"{base}/region/0/1-2-3-4-64-48").headers["content-type"] == "image/jpeg"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_that_leads_elsewhere_is_not_shown(data: Path, tmp_path: Path):
    secret = tmp_path / "secret.png"
    (data / "images" / "train" / "a.png").rename(secret)
    (data / "images" / "train" / "a.png").symlink_to(secret)
    browser = asking([data])
    base = browser.get("/data").headers["location"]
    done(browser, base)
    assert browser.get(f"{base}/thumbnail/0/photo").headers["content-type"] == "image/svg+xml"
    assert browser.get(f"{base}/image/0/photo").headers["content-type"] == "image/svg+xml"
    assert "leads out of the folders" in browser.get(f"{base}/image/0").text


def test_data_that_cannot_be_opened_says_why(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("")
    browser = asking([tmp_path / "photos"])
    base = browser.get("/data").headers["location"]
    for _ in range(100):
        answer = browser.get(base)
        if answer.status != 200:
            break
    assert (answer.status, "D222" in answer.text) == (422, True)


def test_images_that_are_labelled_join_the_data_set(tmp_path: Path):
    data = edited_data(tmp_path / "data")
    mask = data / "masks/train/b.png"
    content = mask.read_bytes()
    mask.unlink()
    site = Site([], [data], edit=True)
    browser = Browser(application([], "t", data=[data], site=site))
    browser.get("/data?token=t")
    base = browser.get("/data").headers["location"]
    text = done(browser, base)
    assert ("1 to 2 of 2" in text, "1 image without a mask" in text) == (True, True)
    way = re.search(r'href="(/fix\?data=[^"]*)"', text)
    first = re.search(r'class="card" href="(/fix/\w+)', browser.get(way[1].replace("&amp;", "&")).text if way else "")
    mask.write_bytes(content)
    site.shelf.outdate(data.resolve(), True)
    browser.get(base)
    text = done(browser, base)
    assert ("1 to 3 of 3" in text, "without a mask" in text) == (True, False)
    assert first
    assert f'href="{first[1]}"' in browser.get(f"{base}/image/1").text  # it keeps its address


def test_a_large_image_is_shown_in_tiles(tmp_path: Path):
    data = edited_data(tmp_path / "data", (20, 1700))
    browser = asking([data])
    base = browser.get("/data").headers["location"]
    done(browser, base)
    page = browser.get(f"{base}/image/0").text
    assert 'data-width="1700" data-height="20" data-halvings="2"' in page
    assert "<noscript>" in page
    stamp = re.search(r'data-stamp="(\w+)"', page)
    assert stamp
    for layer, kind in (("photo", "image/jpeg"), ("labels", "image/png")):
        answer = browser.get(f"{base}/image/0/{layer}/0-0-3?v={stamp[1]}")
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        assert "immutable" in answer.headers["cache-control"]
        with Image.open(io.BytesIO(answer.body)) as picture:
            assert picture.size == (1700 - 3 * 512, 20)
        assert browser.get(f"{base}/image/0/{layer}/2-0-0").status == 200
        for place in ("0-1-0", "3-0-0", "0-0-4", "9" * 30 + "-0-0"):
            assert browser.get(f"{base}/image/0/{layer}/{place}").status == 404
    assert browser.get(f"{base}/image/0/other/0-0-0").status == 404
    assert browser.get(f"{base}/image/7/photo/0-0-0").status == 404
    (data / "images/train/a.png").write_bytes(b"no image")
    assert browser.get(f"{base}/image/0/photo/0-0-0").status == 404
