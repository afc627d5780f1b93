"""The report in a real browser."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reports.run_folders import write_run_folder
from reports.viewer import PAINTED

from pixelwise.reports.run.page import write_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run <b>1"
    write_run_folder(run)
    return write_report(run)


class Opened:
    """An open page with its console messages and requests."""

    def __init__(self, browser, report: Path, width: int = 1280, **options) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page = self.context.new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())


@pytest.fixture
def opened(browser, report) -> Iterator:
    pages: list[Opened] = []

    def open_page(**options) -> Opened:
        pages.append(Opened(browser, report, **options))
        return pages[-1]

    yield open_page
    for one in pages:
        one.context.close()


def pixels(locator) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


@pytest.mark.heavy
def test_nothing_is_complained_about_and_nothing_fetched(opened, report):
    shown = opened()
    shown.page.wait_for_load_state("load")

    assert shown.messages == []
    assert [url for url in shown.requests if not url.startswith("data:")] == [report.as_uri()]


def test_a_file_name_with_markup_runs_nothing(opened):
    page = opened().page

    assert page.title().startswith("enet-camvid")
    assert page.locator("img[onerror]").count() == 0
    assert "run <b>1" in page.locator(".folder").inner_text()


@pytest.mark.heavy
def test_the_slider_changes_the_picture(opened):
    page = opened().page
    panel = page.locator(".picture").first.locator(".panel").nth(1)
    photo = page.locator(".picture").first.locator(".panel").nth(0)
    page.locator("#opacity").fill("100")
    full = pixels(panel)
    page.locator("#opacity").fill("0")

    bare = pixels(panel)

    assert page.locator("#opacity-value").inner_text() == "0 %"
    assert np.abs(full - bare).mean() > 30
    inner = slice(5, 100)  # the captions below the pictures differ
    assert np.abs(bare[inner, inner] - pixels(photo)[inner, inner]).mean() < 12


@pytest.mark.heavy
def test_the_slider_works_from_the_keyboard(opened):
    page = opened().page
    page.locator("#opacity").focus()

    page.keyboard.press("Home")

    assert page.locator("#opacity-value").inner_text() == "0 %"


@pytest.mark.heavy
@pytest.mark.parametrize("scripts", [True, False])
def test_the_palette_can_be_changed_even_without_scripts(opened, scripts):
    page = opened(java_script_enabled=scripts).page
    panel = page.locator(".picture").first.locator(".panel").nth(1)
    official = pixels(panel)

    page.check("#palette-safe")

    assert np.abs(pixels(panel) - official).mean() > 20
    assert page.locator(".layer.safe").first.is_visible()
    assert not page.locator(".layer.official").first.is_visible()


def test_a_picture_can_be_enlarged(opened):
    page = opened().page
    panel = page.locator(".picture").first.locator(".panel").first
    before = panel.bounding_box()["width"]

    page.locator(".enlarge input").first.check()

    assert panel.bounding_box()["width"] > 1.8 * before


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_width_needs_scrolling_sideways(opened, width):
    page = opened(width=width).page

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_embedded_json_is_the_result(opened, report):
    embedded = opened().page.locator("#result").text_content()

    result = report.parent / "evaluations" / "test-camvid-480x360" / "result.json"
    assert json.loads(embedded) == json.loads(result.read_text())


def test_without_scripts_tables_and_pictures_stay(opened):
    page = opened(java_script_enabled=False).page

    assert page.locator(".classes tbody tr").count() == 4
    assert page.locator(".layer").first.is_visible()
    assert not page.locator("#opacity").is_visible()
    assert not page.locator(".copy").first.is_visible()


@pytest.mark.heavy
def test_the_command_can_be_copied(opened):
    shown = opened(permissions=["clipboard-read", "clipboard-write"])
    button = shown.page.locator(".copy").first

    button.click()

    shown.page.wait_for_function("/Copied|Selected/.test(document.querySelector('.copy').textContent)")
    assert shown.messages == []


# WCAG contrast between an element's text and what is painted behind it. The canvas turns every
# notation, color-mix included, into red, green and blue.
CONTRAST = """selector => Math.min(...[...document.querySelectorAll(selector)].map(element => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  const luminance = color => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(
      v => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let painted = element;
  const clear = /rgba\\(0, 0, 0, 0\\)/;
  while (clear.test(getComputedStyle(painted).backgroundColor)) painted = painted.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(painted).backgroundColor].map(luminance);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}))"""
TEXTS = [
    "h1",
    ".miou .value",
    ".soft",
    "nav a",
    ".lead",
    ".facts dt",
    "thead th",
    ".cell.hit",
    ".cell:not(.hit)",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast_in_both_themes(opened, scheme):
    page = opened(color_scheme=scheme).page

    contrasts = {selector: page.evaluate(CONTRAST, selector) for selector in TEXTS}

    assert min(contrasts.values()) >= 4.5, contrasts


@pytest.mark.heavy
def test_light_and_dark_differ(opened):
    light, dark = (opened(color_scheme=scheme).page for scheme in ("light", "dark"))

    assert pixels(light.locator("h1")).mean() > 180
    assert pixels(dark.locator("h1")).mean() < 80


def test_keyboard_focus_is_visible(opened):
    page = opened().page
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")

    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")

    assert page.evaluate("document.activeElement.tagName") == "A"
    assert outline == "solid"


def names(page) -> list[str]:
    """Names on the cards that are shown, in their order."""
    return page.eval_on_selector_all("#cards li:not([hidden]) .id", "all => all.map(one => one.textContent)")


def opened_viewer(opened, **options):
    """A page with the viewer open on its first image."""
    page = opened(**options).page
    page.locator("#cards .card").first.click()
    page.wait_for_function("() => document.querySelector('#overlay').width === 64")
    return page


GRASS, HATCH = "0,128,0", "128,128,128"


def press(page, key: str) -> dict[str, int]:
    """What the overlay shows after a key."""
    page.keyboard.press(key)
    page.wait_for_timeout(150)
    return page.evaluate(PAINTED)


@pytest.mark.heavy
def test_cards_can_be_searched_and_sorted(opened):
    page = opened().page
    first = names(page)
    assert len(first) == 4

    page.fill("#search", "day/")
    assert sorted(names(page)) == ["day/a", "day/b"]
    assert page.locator("#shown").inner_text() == "2 of 4 images"
    page.fill("#search", "")

    page.click("#order")
    assert names(page) == first[::-1]
    page.click("#order")
    page.select_option("#sort", "name")
    assert names(page)[-3:] == ["day/a", "day/b", "night/c"]


@pytest.mark.heavy
def test_the_viewer_shows_photo_truth_prediction_and_errors(opened):
    page = opened_viewer(opened)

    assert press(page, "1") == {"": 64 * 48}
    truth, prediction, errors = (press(page, key) for key in "234")

    assert HATCH in truth
    assert HATCH not in prediction
    assert sum(prediction.values()) == 64 * 48
    assert "" not in prediction
    assert set(errors) <= {"", HATCH, "230,97,1", "43,131,222"}
    assert len(errors) == 4


@pytest.mark.heavy
def test_a_class_can_be_hidden_and_shown_alone(opened):
    page = opened_viewer(opened)
    all_of_it = press(page, "3")
    grass = page.locator("#viewer-classes button", has_text="grass")

    grass.click()
    page.wait_for_timeout(150)
    without = page.evaluate(PAINTED)
    assert without[""] == all_of_it[GRASS]
    assert grass.get_attribute("aria-pressed") == "false"

    page.locator("#viewer-classes button", has_text="grass").dblclick()
    page.wait_for_timeout(150)
    assert set(page.evaluate(PAINTED)) == {"", GRASS}


@pytest.mark.heavy
def test_arrow_keys_go_through_the_images_in_the_order_of_the_list(opened):
    page = opened_viewer(opened)
    order = names(page)

    seen = []
    for _ in order:
        seen.append(page.locator("#viewer-name").inner_text())
        page.keyboard.press("ArrowRight")
    assert seen == order
    page.keyboard.press("ArrowLeft")
    assert page.locator("#viewer-name").inner_text() == order[-1]


@pytest.mark.heavy
def test_what_is_seen_can_be_sent_as_an_address(opened, report):
    page = opened_viewer(opened)
    page.keyboard.press("ArrowRight")
    press(page, "3")
    name, address = page.locator("#viewer-name").inner_text(), page.url

    other = opened().page
    other.goto("about:blank")
    other.goto(address)
    other.wait_for_function("() => document.querySelector('#overlay').width === 64")

    assert address.startswith(report.as_uri() + "#img=")
    assert other.locator("#viewer-name").inner_text() == name
    assert other.locator("[data-view=prediction]").get_attribute("aria-pressed") == "true"


@pytest.mark.heavy
def test_escape_closes_the_viewer_and_gives_the_focus_back(opened, report):
    page = opened_viewer(opened)

    page.keyboard.press("Escape")

    assert not page.locator("#viewer").is_visible()
    assert page.evaluate("document.activeElement.className") == "card"
    assert page.url == report.as_uri()


@pytest.mark.heavy
def test_space_blinks_between_truth_and_prediction(opened):
    page = opened_viewer(opened)
    pressed = "() => document.querySelector('#views [aria-pressed=true]').dataset.view"

    page.keyboard.press(" ")
    page.wait_for_function(pressed + " === 'truth'")
    page.wait_for_function(pressed + " === 'prediction'")
    page.wait_for_function(pressed + " === 'truth'")
    page.keyboard.press(" ")

    assert page.locator("#viewer-blink").get_attribute("aria-pressed") == "false"


@pytest.mark.heavy
def test_whoever_wants_less_motion_flips_by_hand(opened):
    page = opened_viewer(opened, reduced_motion="reduce")
    pressed = "() => document.querySelector('#views [aria-pressed=true]').dataset.view"

    page.keyboard.press(" ")
    page.wait_for_timeout(1500)
    assert page.evaluate(pressed) == "truth"
    page.keyboard.press(" ")

    assert page.evaluate(pressed) == "prediction"


@pytest.mark.heavy
def test_the_divider_shows_truth_on_one_side_and_prediction_on_the_other(opened):
    page = opened_viewer(opened)
    page.keyboard.press("3")
    page.keyboard.press("d")
    page.wait_for_timeout(150)
    page.locator("#divider").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")

    assert page.locator("#compared").is_visible()
    assert page.locator("#divider").get_attribute("aria-valuenow") == "60"
    assert page.evaluate("document.querySelector('#overlay').style.clipPath").startswith("inset(0")


@pytest.mark.heavy
def test_zoom_keeps_the_point_under_the_pointer(opened):
    page = opened_viewer(opened)
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2 + 100, stage["y"] + stage["height"] / 2 - 60
    share = """([x, y]) => {
      const box = document.querySelector('#sheet').getBoundingClientRect();
      return [(x - box.left) / box.width, (y - box.top) / box.height, box.width];
    }"""
    before = page.evaluate(share, [x, y])
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(150)

    after = page.evaluate(share, [x, y])

    assert after[2] > 2 * before[2]
    assert after[:2] == pytest.approx(before[:2], abs=0.01)


@pytest.mark.heavy
def test_a_cell_of_the_matrix_leads_to_its_images_with_its_pixels_marked(opened, report):
    page = opened().page
    matrix = json.loads((report.parent / "evaluations" / "test-camvid-480x360" / "result.json").read_text())
    pixels = matrix["confusion_matrix"][0][1]
    assert pixels > 0

    page.locator("#matrix tbody tr").nth(0).locator("td").nth(1).click()

    assert "grass predicted as path" in page.locator("#filter-text").inner_text()
    page.locator("#cards li:not([hidden]) .card").first.click()
    page.wait_for_function("() => document.querySelector('#overlay').width === 64")
    page.wait_for_timeout(150)
    marked = page.evaluate(PAINTED)
    assert 0 < marked["214,0,128"] <= pixels
    assert set(marked) <= {"", HATCH, "214,0,128"}
    page.keyboard.press("Escape")
    page.click("#unfilter")
    assert len(names(page)) == 4


@pytest.mark.heavy
def test_the_matrix_is_walked_with_arrow_keys_and_tells_its_counts(opened):
    page = opened().page
    page.locator("#matrix td[tabindex='0']").focus()

    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")

    assert page.locator("#cell-info").inner_text().startswith("path predicted as pond: ")
    assert page.locator("#matrix td[tabindex='0']").count() == 1


@pytest.mark.heavy
def test_a_suspected_label_opens_with_a_box_around_it(opened):
    page = opened().page

    page.locator("#suspects [data-open]").first.click()
    page.wait_for_function("() => document.querySelector('#boxes div')")

    assert page.locator("#viewer-name").inner_text() == "night/c"
    sheet, box = page.locator("#sheet").bounding_box(), page.locator("#boxes div").bounding_box()
    assert (box["x"] - sheet["x"]) / sheet["width"] == pytest.approx(0.25, abs=0.01)
    assert box["height"] / sheet["height"] == pytest.approx(0.25, abs=0.01)


@pytest.mark.heavy
def test_thumbnails_in_files_beside_the_page_are_shown(opened, report, tmp_path, monkeypatch):
    run = Path(shutil.copytree(report.parent, tmp_path / "run"))
    monkeypatch.setattr("pixelwise.reports.run.atlas.THUMBNAIL_BYTES", 10)
    write_report(run)
    shown = opened()

    shown.page.goto((run / "report.html").as_uri())
    image = shown.page.locator("#cards img").first
    image.scroll_into_view_if_needed()
    shown.page.wait_for_function("() => document.querySelector('#cards img').naturalWidth === 160")

    assert shown.messages == []


@pytest.mark.heavy
def test_on_paper_every_row_of_the_matrix_follows_the_other(opened):
    page = opened().page
    page.emulate_media(media="print")

    assert page.evaluate("getComputedStyle(document.querySelector('#matrix')).breakInside") == "avoid"
    assert page.evaluate("getComputedStyle(document.querySelector('#matrix thead th')).position") == "static"
    assert not page.locator(".finder").is_visible()


VIEWER_TEXTS = [".viewer-head h2", ".viewer-head p", "#views button", "#viewer-classes button"]


@pytest.mark.heavy
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_of_the_viewer_has_enough_contrast(opened, scheme):
    page = opened_viewer(opened, color_scheme=scheme)

    contrasts = {selector: page.evaluate(CONTRAST, selector) for selector in VIEWER_TEXTS}

    assert min(contrasts.values()) >= 4.5, contrasts
