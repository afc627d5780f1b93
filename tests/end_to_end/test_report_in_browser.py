"""The report in a real browser: headless Chromium, started once.

Without Chromium these tests skip, unless PIXELWISE_REQUIRE_BROWSER=1 says that they must run.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reports.run_folders import write_run_folder

from pixelwise.reports.run.page import write_report


def unavailable(reason: str) -> None:
    if os.environ.get("PIXELWISE_REQUIRE_BROWSER") == "1":
        pytest.fail(f"PIXELWISE_REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        unavailable("there is no chromium on the PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


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


def test_the_slider_works_from_the_keyboard(opened):
    page = opened().page
    page.locator("#opacity").focus()

    page.keyboard.press("Home")

    assert page.locator("#opacity-value").inner_text() == "0 %"


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
