import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs_to_show import shown_run
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
