"""The live page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from reports.live.scenes import running, write_scene, write_status
from reports.run_folders import write_run_folder

from pixelwise.records.log import LOG, EvaluationRecord, StepRecord, append_log
from pixelwise.reports.live.page import write_live_pages


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run 1"
    write_run_folder(folder)
    write_scene(folder)
    lines = [line for line in (folder / LOG).read_text().splitlines() if '"evaluation"' not in line]
    (folder / LOG).write_text("\n".join(lines) + "\n")
    scores = [(0.2, 0.4), (0.3, 0.5), (0.5, 0.7)]
    append_log(
        folder,
        [
            EvaluationRecord(step=20 * place, split="val", protocol="native", miou=sum(one) / 2, per_class_iou=one)
            for place, one in enumerate(scores, 1)
        ],
    )
    paces = [
        msgspec.structs.replace(pace, memory_bytes=gibibytes << 30)
        for pace, gibibytes in zip(running().paces, (1, 2), strict=True)
    ]
    append_log(folder, [StepRecord(step=60, epoch=6, loss=0.2, lr=0.001, grad_norm=1.5)])
    write_status(folder, running(paces=tuple(paces)))
    write_live_pages(folder)
    return folder


class Opened:
    """An open page with its messages and requests, and a clock that stands still until it is set forward."""

    def __init__(self, browser, page: Path, width: int = 1280, **options) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page = self.context.new_page()
        self.page.clock.install()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(page.as_uri())

    def after(self, seconds: int) -> None:
        self.page.clock.run_for(1000 * seconds)
        self.page.wait_for_load_state()

    def loads(self) -> int:
        return sum(url.endswith("live.html") for url in self.requests)


@pytest.fixture
def opened(browser, run: Path) -> Iterator:
    pages: list[Opened] = []

    def open_page(**options) -> Opened:
        pages.append(Opened(browser, run / "live.html", **options))
        return pages[-1]

    yield open_page
    for one in pages:
        one.context.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_loads_nothing_and_has_no_errors(width: int, scheme: str, opened):
    shown = opened(width=width, color_scheme=scheme)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.messages == []
    assert {url.partition(":")[0] for url in shown.requests} <= {"file", "data"}
    assert shown.loads() == 1
    titles = shown.page.locator("#charts figcaption").all_inner_texts()
    assert [title.partition("\n")[0].strip() for title in titles] == [
        "Training loss", "mIoU, %", "IoU of each class, %", "Gradient norm", "Learning rate", "Images per second",
        "Memory in use, GiB",
    ]  # fmt: skip
    widths = shown.page.locator("#charts svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert min(widths) > 250


@pytest.mark.heavy
def test_values_are_told_under_the_pointer_and_by_keys(opened):
    shown = opened()
    miou = shown.page.locator("#charts figure").nth(1)
    assert "step 60: 60.00" in miou.locator("output").inner_text()
    box = miou.locator("svg").bounding_box()
    shown.page.mouse.move(box["x"] + 60 + (box["width"] - 60) / 3, box["y"] + 50)
    assert "step 20: 30.00" in miou.locator("output").inner_text()
    shown.page.mouse.move(0, 0)
    miou.locator("svg").focus()
    shown.page.keyboard.press("ArrowLeft")
    assert "step 40: 40.00" in miou.locator("output").inner_text()


@pytest.mark.heavy
def test_gradient_and_memory_have_curves(opened):
    shown = opened()
    gradient, memory = (shown.page.locator("#charts figure").nth(place) for place in (3, 6))
    assert "step 60: 1.5" in gradient.locator("output").inner_text()
    assert "step 60: 2.00" in memory.locator("output").inner_text()
    memory.scroll_into_view_if_needed()
    box = memory.locator("svg").bounding_box()
    shown.page.mouse.move(box["x"] + 60, box["y"] + 50)
    assert "step 1: 1.00" in memory.locator("output").inner_text()


@pytest.mark.heavy
def test_axis_scale_and_classes_can_be_chosen(opened):
    shown = opened()
    loss, classes = shown.page.locator("#charts figure").nth(0), shown.page.locator("#charts figure").nth(2)
    shown.page.get_by_label("time").check()
    assert "step 60, 1:15" in loss.locator("output").inner_text()
    shown.page.get_by_label("epochs").check()
    assert "step 60, epoch 6.0" in loss.locator("output").inner_text()
    before = loss.locator("path.main").get_attribute("d")
    shown.page.get_by_label("log scale").check()
    assert loss.locator("path.main").get_attribute("d") != before
    assert classes.locator("path").count() == 2
    classes.get_by_role("checkbox").first.uncheck()
    assert classes.locator("path").count() == 1


@pytest.mark.heavy
def test_the_slider_shows_the_predictions_of_an_evaluation(opened):
    shown = opened()
    image, slider = shown.page.locator("img.predicted"), shown.page.get_by_role("slider", name="Evaluation")
    latest = image.get_attribute("src")
    assert "step 40 (2 of 2), mIoU 40 %" in shown.page.locator("#moment-value").inner_text()
    slider.press("ArrowLeft")
    assert image.get_attribute("src") != latest
    assert "step 20 (1 of 2), mIoU 30 %" in shown.page.locator("#moment-value").inner_text()


@pytest.mark.heavy
def test_it_reloads_itself_and_keeps_what_was_chosen(opened, run: Path):
    shown = opened(width=390)
    shown.page.get_by_label("epochs").check()
    shown.page.get_by_label("log scale").check()
    shown.page.get_by_role("slider", name="Evaluation").press("ArrowLeft")
    shown.page.evaluate("scrollTo(0, 700)")
    shown.after(9)
    assert shown.loads() == 1
    shown.after(2)
    shown.page.wait_for_function("document.querySelector('#log') && document.querySelector('#log').checked")
    assert shown.loads() == 2
    assert shown.page.get_by_label("epochs").is_checked()
    assert "step 20 (1 of 2)" in shown.page.locator("#moment-value").inner_text()
    assert abs(shown.page.evaluate("scrollY") - 700) < 3
    assert shown.messages == []


def test_it_does_not_reload_in_the_readers_hand(opened):
    shown = opened()
    shown.page.mouse.move(640, 300)
    shown.page.mouse.down()
    shown.after(12)
    assert shown.loads() == 1
    shown.page.mouse.up()
    shown.after(2)
    shown.page.wait_for_function("document.querySelector('#charts svg')")
    assert shown.loads() == 2


def test_a_page_of_a_run_that_is_over_stays(opened, run: Path):
    write_status(run, running(state="over", outcome="finished"))
    (run / "report.html").write_text("<p>report")
    write_live_pages(run)
    shown = opened()
    shown.after(60)
    assert shown.loads() == 1
    shown.page.get_by_role("link", name="report.html").click()
    assert shown.page.url.endswith("report.html")
