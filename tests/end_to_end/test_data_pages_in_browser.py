from collections.abc import Iterator
from pathlib import Path

import pytest
from data_to_show import shown_data
from editing import edited_data
from served_pages import served

pytestmark = pytest.mark.heavy


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a data set is shown, with the token."""
    from pixelwise.pages.app import application

    app = application([], "secret", data=[shown_data(tmp_path / "photos")])
    with served(app) as where:
        yield f"{where}/data?token=secret"


@pytest.mark.parametrize("scripted", [True, False])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_pages_of_data_in_a_browser(browser, address: str, width: int, scheme: str, scripted: bool):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripted
    )
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    while not page.locator("#code-D202").count():  # until it is examined
        page.wait_for_timeout(100)
        if not scripted or page.locator("#opening").count():
            page.goto(page.url)
    assert page.locator("ul.grid > li").count() == 6

    page.locator("#split-0").press("Enter")
    page.wait_for_url("**?split=train")
    page.wait_for_selector("#split-0[aria-current]")
    assert page.locator("ul.grid > li").count() == 4
    page.locator("#labels-35").click()
    page.wait_for_url("**split=train&labels=35")
    page.wait_for_selector("#labels-35[aria-current]")
    over = page.locator("ul.grid .over").first
    assert over.evaluate("node => getComputedStyle(node).opacity") == "0.35" if scripted else over.count() == 1
    assert page.locator("ul.grid img").first.get_attribute("src").startswith("/data/")
    page.locator("ul.grid a").nth(1).click()
    assert page.locator("h1").inner_text() == "b"
    if scripted:
        page.keyboard.press("ArrowRight")
    else:
        page.locator("a[rel=next]").click()
    page.wait_for_url("**/image/2?split=train&labels=35")
    assert "mask contains 77" in page.locator(".finding").inner_text()
    assert page.locator(".stack img.over").count() == 1
    if scripted:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    page.go_back()
    page.go_back()
    assert "labels=35" in page.url
    assert page.locator("ul.grid > li").count() == 4
    page.goto(page.url.partition("?")[0] + "/duplicates")
    assert page.locator(".pair").count() == 1
    assert complaints == []
    assert {one.split("/")[2] for one in asked} == {page.url.split("/")[2]}
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_large_image_is_moved_and_zoomed_by_keys(browser, tmp_path: Path, width: int, scheme: str):
    from pixelwise.pages.app import application

    data = edited_data(tmp_path / "data", (1500, 2000))
    with served(application([], "secret", data=[data])) as where:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        complaints: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{where}/data?token=secret")
        page.locator("ul.grid a").first.click()
        page.wait_for_selector("#deep[data-shown$=' 0']")
        assert any("/photo/2-0-0?" in one for one in asked)
        assert not any(one.partition("?")[0].endswith("/image/0/photo") for one in asked)  # nothing is made in vain
        page.locator(".deep-stage").focus()
        page.keyboard.press("1")
        page.keyboard.press("Shift+ArrowRight")
        page.wait_for_selector("#deep[data-shown='0 0']")
        assert page.locator(".deep [role=status]").inner_text() == "100 %, row 750, column 1400"
        assert any("/labels/0-1-2?" in one for one in asked)
        color = """stage => [...stage.querySelectorAll("canvas")].map(
            one => [...one.getContext("2d").getImageData(one.width / 2, one.height / 2, 1, 1).data])"""
        photo, labels = page.locator(".deep-stage").evaluate(color)
        assert photo == [ord("a")] * 3 + [255]
        assert labels[3] == 255  # sky is a class, not ignored
        page.keyboard.press("m")
        assert page.locator(".deep-opacity input").input_value() == "0"
        page.keyboard.press("Home")
        page.keyboard.press("Tab")
        page.locator("h1").click()
        page.keyboard.press("ArrowRight")  # elsewhere, arrow keys lead to the next image
        page.wait_for_url("**/image/1")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert complaints == []
        page.close()
