"""Draws the picture of `pixelwise ui` in the documentation: four of its pages, as a browser shows them.

    make pictures    # or, after `make demo`: python benchmarks/ui_pictures.py demo/run demo/town docs/ui.webp

The town is drawn by Pixelwise itself, so the picture may be used like the code. Nothing is changed in the data: its
masks are only looked at. Needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import io
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from draw_pictures import record_file
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from pixelwise.pages.app import application
from pixelwise.pages.serving import listening

WIDTH, HEIGHT, GAP = 1280, 800, 24
SCALE = 2
"""Pixels of a page for one of the picture, in each direction."""
BACKGROUND = (206, 203, 194)
TOKEN = "picture"


def main() -> int:
    """Draw and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder with a result")
    parser.add_argument("data", type=Path, help="the data it was scored on")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    with served(options.run, options.data) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        pages = [taken(page) for _ in visited(page, address)]
        browser.close()
    picture = beside(pages)
    picture.save(options.output, "WEBP", quality=86, method=6)
    record_file(options.output)
    print(f"{options.output}: {picture.width}x{picture.height}, {options.output.stat().st_size / 1000:.0f} kB")
    return 0


@contextmanager
def served(run: Path, data: Path) -> Iterator[str]:
    """The address of the pages, while they are served."""
    app = application([run], TOKEN, data=[data], edit=True)
    listener = listening(0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def visited(page: Page, address: str) -> Iterator[None]:
    """Open one page after the other, each at its most telling part."""
    page.goto(f"{address}/runs?token={TOKEN}")
    page.goto(address + link(page, "/run/"))
    page.locator("table.matrix").scroll_into_view_if_needed()
    yield
    page.goto(address + link(page, "/cell/"))
    yield
    page.goto(f"{address}/data")
    while page.locator("progress").count():  # until it is examined
        page.wait_for_timeout(200)
    yield
    page.goto(address + link(page, "/image/"))
    page.goto(address + link(page, "/fix/"))
    while page.locator("#status").inner_text() == "Loading":
        page.wait_for_timeout(100)
    yield


def link(page: Page, part: str) -> str:
    """Where the first link with this part in its address leads."""
    found = page.locator(f"a[href*='{part}']").first.get_attribute("href")
    if found is None:
        raise SystemExit(f"{page.url} has no link to {part}")
    return found


def taken(page: Page) -> Image.Image:
    """What the page shows, once all its pictures are there."""
    page.wait_for_load_state("networkidle")
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return shown.resize((WIDTH // SCALE, HEIGHT // SCALE), Image.Resampling.LANCZOS)


def beside(pages: list[Image.Image]) -> Image.Image:
    """Two rows of two pages."""
    width, height = pages[0].size
    picture = Image.new("RGB", (2 * width + 3 * GAP, 2 * height + 3 * GAP), BACKGROUND)
    for number, page in enumerate(pages):
        row, column = divmod(number, 2)
        picture.paste(page, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    return picture


if __name__ == "__main__":
    raise SystemExit(main())
