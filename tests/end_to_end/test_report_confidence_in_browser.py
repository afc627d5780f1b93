"""Thresholds and the reliability diagram of the report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from reports.two_classes import SIZE, write_two_class_run
from reports.viewer import PAINTED

from pixelwise.reports.run.page import write_report

MISSED, INVENTED = "43,131,222", "230,97,1"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name, several in (("two", False), ("several", True)):
        write_two_class_run(folder / name, multilabel=several)
    return {name: write_report(folder / name) for name in ("two", "several")}


class Opened:
    """An open page and its messages, without the advice on how these tests should read its canvas."""

    def __init__(self, browser, report: Path, width: int = 1280, address: str = "") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        self.page = self.context.new_page()
        self.messages: list[str] = []
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(report.as_uri() + address)

    def hear(self, message) -> None:
        if not message.text.startswith("Canvas2D"):
            self.messages.append(message.text)

    def scores(self) -> dict[str, float]:
        kinds = ("iou", "precision", "recall")
        return {kind: float(self.page.locator(f"#threshold-{kind}").inner_text()) for kind in kinds}

    def painted(self) -> dict[str, int]:
        self.page.wait_for_timeout(200)
        return self.page.evaluate(PAINTED)

    def look(self) -> None:
        self.page.locator("#cards .card").first.click()
        self.page.wait_for_function(f"() => document.querySelector('#overlay').width === {SIZE[1]}")


@pytest.fixture
def opened(browser, reports: dict[str, Path]) -> Iterator:
    pages: list[Opened] = []

    def open_page(name: str, **options) -> Opened:
        pages.append(Opened(browser, reports[name], **options))
        return pages[-1]

    yield open_page
    for one in pages:
        one.context.close()


@pytest.mark.heavy
def test_the_slider_changes_scores_and_masks(opened):
    shown = opened("two")
    row = shown.page.locator(".thresholds-table tbody tr").locator("td").all_inner_texts()
    half = shown.scores()
    assert half["iou"] == float(row[0])
    shown.page.click("#threshold-best")
    best = shown.scores()
    assert list(best.values()) == [float(text) for text in row[2:]]
    assert best["iou"] > half["iou"]
    assert best["recall"] > half["recall"]
    assert shown.page.locator("#threshold-value").inner_text() == f"{row[1]} %"
    assert f"scores[1] > 0.{row[1]}" in shown.page.locator("#threshold-code").inner_text()
    shown.page.click("#threshold-half")
    shown.look()
    errors = shown.painted()
    assert errors[MISSED] > 500
    assert INVENTED not in errors
    shown.page.fill("#viewer-threshold", row[1])
    fewer = shown.painted()
    assert fewer.get(MISSED, 0) + fewer.get(INVENTED, 0) < errors[MISSED] / 4
    shown.page.fill("#viewer-threshold", "10")
    assert shown.painted()[INVENTED] > 500
    assert shown.page.locator("#threshold").input_value() == "10"
    assert shown.messages == []


@pytest.mark.heavy
def test_a_threshold_can_be_sent_as_an_address(opened):
    shown = opened("two")
    shown.look()
    shown.page.fill("#viewer-threshold", "20")
    address = "#" + shown.page.url.partition("#")[2]
    assert "threshold=20" in address
    other = opened("two", address=address)
    other.page.wait_for_function(f"() => document.querySelector('#overlay').width === {SIZE[1]}")
    assert other.page.locator("#viewer-threshold").input_value() == "20"
    assert other.painted() == shown.painted()


@pytest.mark.heavy
def test_of_several_classes_one_is_chosen(opened):
    shown = opened("several")
    rows = shown.page.locator(".thresholds-table tbody tr")
    for place, name in enumerate(("crack", "rust")):
        shown.page.select_option("#threshold-class", label=name)
        assert shown.scores()["iou"] == float(rows.nth(place).locator("td").first.inner_text())
    shown.look()
    shown.page.fill("#viewer-threshold", "20")
    assert set(shown.painted()) == {"", INVENTED}
    assert "missed rust" in shown.page.locator("#viewer-errors").inner_text()
    assert shown.messages == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["two", "several"])
def test_it_fits_the_screen(width: int, name: str, opened):
    shown = opened(name, width=width)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.page.locator(".reliability svg").count() == (name == "two")
    assert shown.page.locator("#threshold-chart polyline").count() == 3
    assert shown.messages == []
