"""Every kind of page of `pixelwise ui` under axe-core, by following all links from the first ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_to_show import shown_data
from runs_to_show import shown_run
from served_pages import served

import pixelwise
from pixelwise.recipes.overrides import to_toml

pytestmark = pytest.mark.heavy

HIGHEST = ("serious", "critical")
KINDS = {
    "/runs", "/run/ID", "/run/ID/images", "/run/ID/image/N", "/run/ID/cell/N-N", "/live/ID", "/compare/ID/ID", "/try",
    "/compare/ID/ID/image/N", "/data/ID", "/data/ID/image/N", "/data/ID/duplicates", "/data/ID/mistakes", "/fix",
    "/fix/ID",
}  # fmt: skip
"""Some of the kinds of pages: whoever adds one need not name it."""


@pytest.fixture(params=[False, True], ids=["read only", "edit"])
def address(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where two runs and a data set are shown."""
    from pixelwise.pages.app import Site, application
    from pixelwise.pages.networks.costs import Cost, Costs

    for name, miou in (("a", 0.75), ("b", 0.5)):
        run = shown_run(tmp_path / "runs" / name, miou)
        (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
        steps = (f'{{"kind":"step","step":{step},"epoch":1,"loss":{1 / step},"lr":0.1}}\n' for step in range(1, 30))
        (run / "log.jsonl").write_text("".join(steps))
    site = Site([tmp_path / "runs"], [shown_data(tmp_path / "photos")], request.param)
    # Counting loads PyTorch in a process that gives way to all others; what the page looks like does not depend on it.
    site.costs = Costs(lambda run, size: Cost(1_500_000, 2_000_000_000, (60, 80)))
    with served(application([tmp_path / "runs"], "secret", site=site)) as where:
        yield where
    site.close()


def kind_of(path: str) -> str:
    """The address with its ids and numbers replaced."""
    return re.sub(r"\b\d+\b", "N", re.sub(r"/(?:[0-9a-f]{16}|[0-9a-f]{12})\b", "/ID", path.partition("?")[0]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault(browser, address: str, scheme: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install 'pixelwise[dev]'").Axe()
    page = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme).new_page()
    page.set_default_timeout(0)  # a busy machine is no fault of the pages; pytest ends a test that hangs
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/runs?token=secret")
    page.wait_for_selector("#board:not([hx-get])")  # the networks are counted
    paths, found = ["/runs", "/data", "/fix", "/try"], {}
    ids = page.eval_on_selector_all("a[href^='/run/']", "found => found.map((one) => one.getAttribute('href'))")
    results = list(dict.fromkeys(path.split("/")[2] for path in ids))
    paths.append(f"/compare/{results[0]}/{results[1]}")
    while paths:
        path = paths.pop(0)
        if kind_of(path) in found:
            continue
        page.goto(address + path)
        page.wait_for_load_state("load")
        response = axe.run(page, options={"resultTypes": ["violations"]}).response
        found[kind_of(path)] = [
            f"{one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in response["violations"]
            if one["impact"] in HIGHEST
        ]
        links = page.eval_on_selector_all("a[href^='/']", "found => found.map((one) => one.getAttribute('href'))")
        paths += [link.partition("#")[0] for link in links]
    assert {kind: faults for kind, faults in found.items() if faults} == {}
    assert KINDS - found.keys() == set()
    assert complaints == []
    assert {url.split("/")[2] for url in asked} == {address.split("/")[2]}
