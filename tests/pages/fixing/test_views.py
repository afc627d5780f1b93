import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from asking import Answer, Browser
from editing import CLASSES, edited_data, grey_png, pixels_of
from PIL import Image

from pixelwise.pages.app import application
from pixelwise.pages.fixing import views
from pixelwise.storage import sha256_bytes

KIND = "application/octet-stream"


def opened(*data: Path, edit: bool = True, host: str = "127.0.0.1:8765") -> Browser:
    browser = Browser(application([], "t", data=data, edit=edit), host)
    browser.get("/?token=t")
    return browser


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return edited_data(tmp_path / "data")


@pytest.fixture
def browser(data: Path) -> Browser:
    return opened(data)


def addresses(browser: Browser, query: str = "") -> list[str]:
    parts = browser.get(f"/fix{query}").text.split('class="card" href="')[1:]
    return [part.partition("?")[0] for part in parts]


def put(browser: Browser, address: str, runs: list[tuple[int, int, int]], base: str, **changes: str) -> Answer:
    body = b"".join(struct.pack("<III", *run) for run in runs)
    headers = {"origin": "http://127.0.0.1:8765", "content_type": KIND, **changes}
    return browser.get(f"{address}/mask?base={base}&session=session-1", "PUT", body, **headers)


def version_of(path: Path) -> str:
    return sha256_bytes(path.read_bytes())


def test_the_list_has_the_images_and_the_editor_the_classes(browser: Browser, data: Path):
    found = addresses(browser)
    assert len(found) == 3
    assert addresses(browser, "?text=val") == found[2:]
    page = browser.get(found[1]).text
    assert "train/b" in page
    assert "2 of 3" in page
    assert f'href="{found[0]}?order=file" rel="prev"' in page
    assert f'href="{found[2]}?order=file" rel="next"' in page
    assert [name for name in CLASSES if f"</svg>{name} " in page] == list(CLASSES)
    for part in ("photo", "thumbnail"):
        assert browser.get(f"{found[0]}/{part}").headers["content-type"] == "image/jpeg"


def test_an_image_that_cannot_be_read_is_an_empty_place_in_the_list(browser: Browser, data: Path):
    (data / "images/train/a.png").write_bytes(b"no image")
    first = addresses(browser)[0]
    assert browser.get(f"{first}/thumbnail").headers["content-type"] == "image/svg+xml"
    photo = browser.get(f"{first}/photo")
    assert (photo.status, "a.png" in photo.text) == (422, True)


def test_the_queue_gives_the_order(browser: Browser, data: Path):
    by_name = addresses(browser)
    listed = [
        {"image": f"images/{name}.png", "score": 0.5} for name in ("val/c", "train/a", "../../etc/passwd", "val/c")
    ]
    (data / "queue.json").write_text(json.dumps({"images": listed}))
    assert addresses(browser) == [by_name[2], by_name[0], by_name[1]]
    assert addresses(browser, "?order=file") == by_name
    (data / "queue.json").write_text("{}")
    assert "queue.json" in browser.get("/fix").text


def test_a_mask_is_sent_with_the_meaning_of_its_values(browser: Browser, data: Path):
    content = zlib.decompress(browser.get(f"{addresses(browser)[0]}/mask").body)
    length = struct.unpack_from("<I", content)[0]
    facts = json.loads(content[4 : 4 + length])
    assert facts == {
        "version": version_of(data / "masks/train/a.png"), "height": 6, "width": 8, "wide": False,
        "values": [0, 1, 2, 255], "meanings": [0, 1, 2, 255], "paints": [[0, 0], [1, 1], [2, 2], [255, 255]],
    }  # fmt: skip
    assert list(content[4 + length :]) == [3] + 47 * [0]


def test_a_change_is_saved(browser: Browser, data: Path):
    mask = data / "masks/train/a.png"
    answer = put(browser, addresses(browser)[0], [(0, 3, 2)], version_of(mask))
    assert (answer.status, json.loads(answer.body)) == (200, {"version": version_of(mask)})
    assert pixels_of(mask)[0, :4].tolist() == [2, 2, 2, 0]
    assert "edited" in browser.get("/fix").text


def test_a_change_of_another_version_is_a_conflict(browser: Browser, data: Path):
    mask = data / "masks/train/a.png"
    before = version_of(mask)
    mask.write_bytes(grey_png(np.ones((6, 8), np.uint8)))
    assert put(browser, addresses(browser)[0], [(0, 3, 2)], before).status == 409
    assert (pixels_of(mask) == 1).all()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec_fetch_site": "cross-site"}, 405),
        ({"sec_fetch_site": "same-site"}, 405),
        ({"cookie": "pixelwise=other"}, 403),
        ({"host": "evil.example:8765"}, 421),
        ({"content_type": "text/plain"}, 415),
        ({"content_length": str(1 << 27)}, 413),
        ({"content_length": "-1"}, 413),
    ],
)
def test_changes_come_from_the_page_itself(browser: Browser, data: Path, changes: dict, status: int):
    mask = data / "masks/train/a.png"
    before = version_of(mask)
    assert put(browser, addresses(browser)[0], [(0, 3, 2)], before, **changes).status == status
    assert version_of(mask) == before


def test_a_page_without_an_origin_cannot_write(browser: Browser, data: Path):
    address = f"{addresses(browser)[0]}/mask?base={version_of(data / 'masks/train/a.png')}&session=session-1"
    assert browser.get(address, "PUT", b"", content_type=KIND).status == 405


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "PUT"])
def test_only_masks_can_be_written(browser: Browser, method: str):
    address = addresses(browser)[0]
    parts = ("", "/photo", "/thumbnail", "/../mask", "/mask/") if method == "PUT" else ("", "/mask")
    for part in parts:
        answer = browser.get(f"{address}{part}", method, b"", origin="http://127.0.0.1:8765", content_type=KIND)
        assert answer.status == 405


@pytest.mark.parametrize(
    ("runs", "status"),
    [([(0, 1, 9)], 422), ([(47, 2, 1)], 422), ([(0, 0, 1)], 422), ([(2**32 - 1, 2**32 - 1, 1)], 422)],
)
def test_values_and_places_are_checked(browser: Browser, data: Path, runs: list, status: int):
    mask = data / "masks/train/a.png"
    before = version_of(mask)
    answer = put(browser, addresses(browser)[0], runs, before)
    assert answer.status == status
    assert json.loads(answer.body)["reason"]
    assert version_of(mask) == before


def test_a_body_that_is_too_long_is_refused_before_it_is_read(browser: Browser, data: Path, monkeypatch):
    monkeypatch.setattr(views, "MOST_BYTES", 24)
    before = version_of(data / "masks/train/a.png")
    assert put(browser, addresses(browser)[0], 3 * [(0, 1, 1)], before).status == 413
    assert put(browser, addresses(browser)[0], [(0, 1, 1)], "0").status == 400


def test_without_edit_nothing_can_be_written(data: Path):
    browser = opened(data, edit=False)
    address = addresses(browser)[0]
    page = browser.get(address).text
    assert "pixelwise ui --data FOLDER --edit" in page
    assert 'data-tool="brush"' not in page
    assert put(browser, address, [(0, 1, 1)], version_of(data / "masks/train/a.png")).status == 405
    assert not (data / ".pixelwise-fix").exists()


def test_without_data_there_is_nothing():
    browser = opened()
    assert "pixelwise ui --data FOLDER --edit" in browser.get("/fix").text
    assert browser.get("/fix/0123456789abcdef").status == 404


@pytest.mark.parametrize("kind", ["masks", "images"])
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, data: Path, kind: str):
    outside = tmp_path / "outside.png"
    (data / kind / "train" / "a.png").replace(outside)
    (data / kind / "train" / "a.png").symlink_to(outside)
    before = outside.read_bytes()
    browser = opened(data)
    address = addresses(browser)[0]
    assert "is a link" in browser.get(address).text
    assert browser.get(f"{address}/mask").status == 422
    assert browser.get(f"{address}/photo").status == 404
    assert put(browser, address, [(0, 1, 1)], sha256_bytes(before)).status == 422
    assert outside.read_bytes() == before


def test_masks_that_are_not_edited_say_why(data: Path):
    Image.new("L", (8, 6)).save(data / "masks/train/a.png", "BMP")
    page = opened(data)
    assert "a.png is no PNG file" in page.get(addresses(page)[0]).text


def test_a_folder_that_is_no_data_says_so(tmp_path: Path):
    assert "D222" in opened(tmp_path).get("/fix").text


def test_an_image_without_a_mask_is_labelled_from_nothing(data: Path):
    (data / "masks/train/b.png").unlink()
    browser = opened(data)
    first = addresses(browser)[0]
    assert "<code>masks/train/b.png</code> is made with the first stroke" in browser.get(first).text
    content = zlib.decompress(browser.get(f"{first}/mask").body)
    length = struct.unpack_from("<I", content)[0]
    facts = json.loads(content[4 : 4 + length])
    assert content[4 + length :] == bytes([facts["values"].index(255)]) * 48
    assert put(browser, first, [(0, 1, 1)], facts["version"]).status == 200
    assert pixels_of(data / "masks/train/b.png")[0, :2].tolist() == [1, 255]
    assert "is made with" not in browser.get(first).text


def test_the_classes_of_multi_label_data_are_edited_one_by_one(tmp_path: Path):
    values = np.zeros((6, 8), np.uint8)
    values[0, 0] = 255
    for kind in ("images", "masks/crack", "masks/rust"):
        (tmp_path / kind).mkdir(parents=True)
        (tmp_path / kind / "a.png").write_bytes(grey_png(values))
    browser = opened(tmp_path)
    (first,) = addresses(browser)
    page = browser.get(f"{first}?layer=1").text
    assert [name in page for name in ('data-layer="0"', 'data-layer="1" aria-current', 'data-layer="255"')] == [
        True
    ] * 3
    version = version_of(tmp_path / "masks/rust/a.png")
    body = struct.pack("<III", 1, 2, 255)
    headers = {"origin": "http://127.0.0.1:8765", "content_type": KIND}
    saved = browser.get(f"{first}/mask?base={version}&session=session-1&layer=1", "PUT", body, **headers)
    assert saved.status == 200
    assert pixels_of(tmp_path / "masks/rust/a.png")[0, :4].tolist() == [255, 255, 255, 0]
    assert pixels_of(tmp_path / "masks/crack/a.png")[0, :2].tolist() == [255, 0]
    below = browser.get(f"{first}/others?layer=0")
    with Image.open(io.BytesIO(below.body)) as picture:
        assert np.asarray(picture)[0, :4].tolist() == [1, 1, 1, 255]
    assert browser.get(f"{first}/photo?layer=255").status == 200
    for query in ("layer=2", "layer=x", "layer=00000"):
        assert browser.get(f"{first}/mask?{query}").status == 404
    assert opened(edited_data(tmp_path / "other")).get(f"{first}/others").status == 404
