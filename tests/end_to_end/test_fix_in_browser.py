import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from editing import edited_data, pixels_of
from PIL import Image
from served_pages import served

pytestmark = pytest.mark.heavy
SAVED = "#status[data-pending='0'][data-saved='{}']"


class Pages:
    """The server, which can be ended and started again at the same port."""

    def __init__(self, data: Path, edit: bool = True) -> None:
        self.data, self.edit, self.port = data, edit, 0
        self.start()

    def start(self) -> None:
        from pixelwise.pages.app import application

        app = application([], "secret", "pixelwise", data=[self.data], edit=self.edit)
        self.serving = served(app, self.port)
        self.port = int(self.serving.__enter__().rpartition(":")[2])

    def end(self) -> None:
        self.serving.__exit__(None, None, None)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    running = Pages(edited_data(tmp_path / "data", (60, 80)))
    yield running
    running.end()


@pytest.fixture
def page(browser, pages: Pages) -> Iterator:
    with_page = opened(browser, pages)
    yield with_page
    with_page.close()


def opened(browser, pages: Pages):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request", lambda one: page.complaints.append(one.url) if f"127.0.0.1:{pages.port}" not in one.url else None
    )
    page.goto(f"http://127.0.0.1:{pages.port}/fix?token=secret")
    page.locator("a.card").first.press("Enter")
    page.wait_for_selector("#fix[data-ready]")
    return page


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_without_edit_a_mask_is_looked_at_and_no_key_changes_it(browser, tmp_path: Path):
    pages = Pages(edited_data(tmp_path / "data", (60, 80)), edit=False)
    try:
        mask = pages.data / "masks/train/a.png"
        before = mask.read_bytes()
        page = opened(browser, pages)
        assert page.locator("#status").inner_text() == "Read only"
        keys = "b e l f r [ ] , . i x m c + - 1 2 Enter Home Escape Backspace ArrowRight Control+z Control+y"
        press(page, *keys.split())
        page.locator("#stage").click()
        press(page, "n")
        page.wait_for_url("**/fix/*")
        page.wait_for_selector("#fix[data-ready]")
        assert page.complaints == []
        assert mask.read_bytes() == before
        page.close()
    finally:
        pages.end()


def test_masks_are_painted_by_the_keyboard_alone(page, pages: Pages):
    mask = pages.data / "masks/train/a.png"
    before = pixels_of(mask)
    press(page, *14 * ["["], "2", "x", *5 * ["ArrowRight"], "x")
    page.wait_for_selector(SAVED.format(1))
    expected = before.copy()
    expected[30, 40:46] = 1
    assert np.array_equal(pixels_of(mask), expected)
    # A polygon: 10 pixels to the right, 10 down, back to the left.
    press(
        page,
        "l",
        "3",
        "Enter",
        "Shift+ArrowRight",
        "Enter",
        "Shift+ArrowDown",
        "Enter",
        "Shift+ArrowLeft",
        "Enter",
        "c",
    )
    page.wait_for_selector(SAVED.format(2))
    expected[30:40, 45:55] = 2
    assert np.array_equal(pixels_of(mask), expected)
    press(page, "Control+z", "Control+z")
    page.wait_for_selector(SAVED.format(4))
    assert np.array_equal(pixels_of(mask), before)
    press(page, "n")
    page.wait_for_url("**/fix/*")
    page.wait_for_selector("h1:has-text('train/b')")
    assert page.complaints == []


def test_strokes_wait_for_a_server_that_is_gone(page, pages: Pages):
    mask = pages.data / "masks/train/a.png"
    box = page.locator("#stage").bounding_box()
    press(page, "2")
    pages.end()
    for x in (300, 500):
        page.mouse.move(x, box["y"] + 300)
        page.mouse.down()
        page.mouse.move(x + 60, box["y"] + 330, steps=4)
        page.mouse.up()
    page.wait_for_selector("#status.trouble[data-pending='2']")
    assert (pixels_of(mask) != 1).all()
    pages.start()
    page.wait_for_selector(SAVED.format(2))
    assert (pixels_of(mask) == 1).sum() > 50
    assert all("ERR_CONNECTION" in text for text in page.complaints)


def test_what_another_program_has_painted_stays(page, pages: Pages):
    from PIL import Image

    mask = pages.data / "masks/train/a.png"
    theirs = pixels_of(mask)
    theirs[:5] = 2
    time.sleep(0.01)
    Image.fromarray(theirs).save(mask)
    press(page, *14 * ["["], "2", "Enter")
    page.wait_for_selector(SAVED.format(1))
    theirs[30, 40] = 1
    assert np.array_equal(pixels_of(mask), theirs)
    assert "Another program has changed the mask" in page.locator("#note").text_content()


def test_an_image_without_a_mask_and_one_class_of_several_are_painted_by_keys(browser, tmp_path: Path):
    data = edited_data(tmp_path / "data", (60, 80))
    (data / "masks/train/b.png").unlink()
    pages = Pages(data)
    try:
        page = opened(browser, pages)  # those without a mask come first
        press(page, "2", "Enter", "1", "g")
        page.wait_for_selector(SAVED.format(2))
        made = pixels_of(data / "masks/train/b.png")
        assert (made[30, 40], sorted(np.unique(made))) == (1, [0, 1])
        assert page.complaints == []
        page.close()
    finally:
        pages.end()
    (data / "dataset.toml").unlink()
    for kind in ("crack", "rust"):
        (data / "masks" / kind / "val").mkdir(parents=True)
    for split in ("train", "val"):
        shutil.rmtree(data / "masks" / split)
    black = np.zeros((60, 80), np.uint8)
    for kind in ("crack", "rust"):
        Image.fromarray(black).save(data / f"masks/{kind}/val/c.png")
    pages = Pages(data)
    try:
        page = opened(browser, pages)
        page.goto(page.url.partition("?")[0])
        page.wait_for_selector("#fix[data-ready]")
        press(page, "2")
        page.wait_for_url("**layer=1*")
        page.wait_for_selector("#fix[data-ready]")
        press(page, "Enter")
        page.wait_for_selector(SAVED.format(1))
        press(page, "e", "Enter", "Control+z")
        page.wait_for_selector(SAVED.format(3))
        assert page.complaints == []
        page.close()
    finally:
        pages.end()
    (mask,) = [path for path in (data / "masks/rust").rglob("*.png") if pixels_of(path).any()]
    assert (pixels_of(mask)[30, 40], sorted(np.unique(pixels_of(mask)))) == (255, [0, 255])
    assert not any(pixels_of(path).any() for path in (data / "masks/crack").rglob("*.png"))
