import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs_to_show import large_data, run_on, shown_run, write_prediction
from served_pages import served

import pixelwise
from pixelwise.recipes.overrides import to_toml

pytestmark = pytest.mark.heavy


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where two runs are shown, with the token."""
    from pixelwise.pages.app import application

    for name, miou in (("a", 0.75), ("b", 0.5)):
        run = shown_run(tmp_path / "runs" / name, miou)
        (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
        steps = (f'{{"kind":"step","step":{step},"epoch":1,"loss":{1 / step},"lr":0.1}}\n' for step in range(1, 30))
        (run / "log.jsonl").write_text("".join(steps))
    with served(application([tmp_path / "runs"], "secret")) as where:
        yield f"{where}/runs?token=secret"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_in_a_browser(browser, address: str, width: int, scheme: str):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(0)  # a busy machine is no fault of the pages; pytest ends a test that hangs
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    def fits() -> bool:
        return page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(address)
    page.wait_for_selector("#board:not([hx-get])")  # the networks are counted
    assert "token" not in page.url
    assert fits()
    # By the keyboard alone: choose both, compare them.
    for _ in range(2):
        page.locator(".acts a[aria-pressed=false]").filter(has_text="compare").first.press("Enter")
        page.wait_for_load_state("load")
    page.get_by_text("Compare the two chosen").press("Enter")
    page.wait_for_selector(".swipe input")
    assert fits()
    swipe = page.locator(".swipe").first
    swipe.locator("input").press("ArrowRight")
    assert swipe.evaluate("node => node.style.getPropertyValue('--at')") == "51%"
    page.keyboard.down("t")
    assert swipe.locator(".truth-side").evaluate("node => getComputedStyle(node).visibility") == "visible"
    page.keyboard.up("t")
    # A cell of the matrix leads to the pictures of that confusion.
    page.locator("h1 a").first.press("Enter")
    page.wait_for_selector("#plots canvas")
    page.locator("#errors").scroll_into_view_if_needed()  # they are counted when somebody looks
    page.wait_for_selector("#kinds .crops img")
    assert fits()
    page.locator("#matrix td a").first.press("Enter")
    page.wait_for_selector(".crops img")
    assert page.locator(".crops img").first.evaluate("node => node.decode().then(() => node.naturalWidth)") > 50
    # The filter of the images answers without a new page.
    page.goto(re.sub(r"/cell/.*", "/images", page.url))
    page.locator("input[name=text]").fill("two")
    page.wait_for_url("**text=two**")
    assert page.locator(".card").count() == 1
    page.locator(".card").press("Enter")
    page.wait_for_url("**/image/1")  # and its script has run
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/image/0")
    assert fits()
    assert complaints == []
    assert {url.partition("/runs")[0] for url in asked if not url.startswith(address.partition("/runs")[0])} == set()
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_two_predictions_of_a_large_image_are_compared_by_keys(
    browser, tmp_path: Path, width: int, scheme: str, monkeypatch: pytest.MonkeyPatch
):
    from pixelwise.pages.app import Site, application

    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install 'pixelwise[dev]'").Axe()
    size, data = (1000, 1800), large_data(tmp_path / "data", (1000, 1800))
    for name, miou in (("a", 0.75), ("b", 0.5)):
        run_on(tmp_path / "runs" / name, data, miou)
    site = Site([tmp_path / "runs"], [data])
    # Class 1 begins 100 columns too early in a, and 100 too late in b.
    monkeypatch.setattr(
        site.networks,
        "whole",
        lambda entry, result, image, folder: write_prediction(folder, size, 800 if entry.name.endswith("a") else 1000),
    )
    first, second = sorted(site.catalog.entries(), key=lambda entry: entry.name)
    with served(application([], "secret", site=site)) as where:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(0)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{where}/compare/{first.id}/{second.id}/image/0?token=secret")
        middle = """stage => [...stage.querySelectorAll("canvas")].slice(1).map((one) => [
            ...one.getContext("2d").getImageData(one.width / 2, one.height / 2, 1, 1).data].join())"""
        stage, slider = page.locator(".deep-stage"), page.locator(".deep-divider")
        stage.focus()
        page.keyboard.press("1")
        # Both are predicted at full size.
        page.wait_for_function(
            """() => performance.getEntriesByType("resource").filter(
                (one) => one.name.includes("/prediction/0-0-1")).length === 2"""
        )
        page.wait_for_selector("#deep[data-shown='0 0']")
        assert "row 500, column 900" in page.locator(".deep-where").inner_text()
        left, right = stage.evaluate(middle)
        assert left != right  # column 900 lies between where class 1 begins in one and in the other
        clip = "one => getComputedStyle(one).clipPath"
        assert page.locator(".deep-left").evaluate(clip) == "inset(0px 50% 0px 0px)"
        page.keyboard.press(".")
        assert page.locator(".deep-right").evaluate(clip) == "inset(0px 0px 0px 52%)"
        page.keyboard.press("Tab")
        page.keyboard.press("PageUp")
        page.keyboard.press("ArrowLeft")
        assert slider.get_attribute("aria-valuenow") == "61"
        assert page.evaluate("document.activeElement.className") == "deep-divider"
        found = slider.bounding_box()
        assert found is not None
        page.mouse.move(found["x"] + found["width"] / 2, found["y"] + 20)
        page.mouse.down()
        page.mouse.move(found["x"] + found["width"] / 2 - 60, found["y"] + 20)
        page.mouse.up()
        frame = stage.bounding_box()
        assert frame is not None
        assert abs(int(slider.get_attribute("aria-valuenow") or 0) - (61 - 6000 / frame["width"])) <= 1
        assert "row 500, column 900" in page.locator(".deep-where").inner_text()  # the image has not moved
        stage.focus()
        page.keyboard.press("t")
        page.wait_for_selector("#deep[data-shown='0 0']")
        assert slider.is_hidden()  # the truth has one side
        assert page.locator(".deep-left").evaluate(clip) == "none"
        page.keyboard.press("e")
        assert slider.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        faults = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [one["id"] for one in faults if one["impact"] in ("serious", "critical")] == []
        assert complaints == []
        page.close()
    site.close()
