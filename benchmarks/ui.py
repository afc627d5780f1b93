"""How long pages of `pixelwise ui` take in a browser with many images and runs, and how much memory its server needs.

    pixelwise data town town && pixelwise train town-demo --data town -o run
    python benchmarks/ui.py run [--images 10000] [--runs 50]

Draws pairs of 64x64 pixels as `scale.py` does, one of 2048x1024 to paint on, and copies the run, whose pictures and
matrix are real ones. Chromium opens the pages as a person would: a time runs from the click to the moment when what was
asked for can be seen, pictures included. Brush strokes are measured by the page itself: the time of the script for each
movement of the pointer. Memory is that of the server and all its processes at the end. Everything is examined before,
which is measured, too.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from measuring import HERE, write_result
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from scale import draw

SEEN = "[...document.querySelectorAll('{}')].slice(0, 12).every((one) => one.complete && one.naturalWidth)"
BRUSHES = (15, 60, 200)
"""Pixels across."""
STROKES, MOVES = 8, 40
GOALS = {"first grid": 300, "filter": 100, "cell of the matrix to its places": 200, "brush": 16}
"""Milliseconds."""
MOST_MEMORY = 500
"""MB."""


class Times(NamedTuple):
    """Milliseconds of something done several times."""

    median: float
    p95: float
    most: float
    count: int


def main() -> int:
    """Draw, open, measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder with a result")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--work", type=Path, help="folder that keeps what is drawn, for another measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        prepare(work, options.run, options.images, options.runs)
        busy, start = psutil.cpu_times(), time.monotonic()
        found, memory, opening, ours = measure(work)
        others = max(0.0, _used(busy) - ours) / (time.monotonic() - start)
    content = {
        "images": options.images,
        "runs": options.runs,
        "times": found,
        "memory_mb": memory,
        "opening_seconds": opening,
        "others": others,
    }
    write_result("ui", content)
    (HERE / "ui.md").write_text(page_of(content, found), "utf-8")
    return 0


def _used(since: object) -> float:
    now = psutil.cpu_times()
    return sum(getattr(now, kind) - getattr(since, kind) for kind in ("user", "nice", "system"))


def prepare(work: Path, run: Path, images: int, runs: int) -> None:
    """Draw the data and copy the run, unless that was done before."""
    if not (work / "data").exists():
        draw(work / "data", images)
        random = np.random.default_rng(0)
        for kind, many in (("images", (3,)), ("masks", ())):
            (work / "large" / kind / "train").mkdir(parents=True)
            drawn = random.integers(0, 2, (64, 128, *many), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
            Image.fromarray(drawn * (200 if many else 1)).save(work / "large" / kind / "train" / "large.png")
    for number in range(runs):
        copy = work / "runs" / f"{number:03}"
        if not copy.exists():
            shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "pictures", "*.html"))


@contextmanager
def served(work: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The server, and the address of its pages."""
    words = ["ui", work / "runs", "--data", work / "data", "--data", work / "large", "--edit", "--no-browser"]
    process = subprocess.Popen([sys.executable, "-m", "pixelwise", *words], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None  # noqa: S101
        found = next(one for line in process.stderr if (one := re.search(r"http://\S+", line)))
        yield psutil.Process(process.pid), found[0]
    finally:
        process.terminate()
        process.wait()


def measure(work: Path) -> tuple[dict[str, Times], float, float, float]:
    """Times of each thing, memory of the server in MB, seconds until all is examined, processor time of all this."""
    with served(work) as (server, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.monotonic()
        page.goto(address)
        root = "/".join(address.split("/")[:3])
        sets = []
        while len(sets) < 2:
            page.goto(f"{root}/data")
            sets = page.eval_on_selector_all("main a[href^='/data/']", "all => all.map((one) => one.href)")
        many, large = (next(one for one in sets if name in named(page, one)) for name in ("data", "large"))
        page.goto(many)
        while page.locator("progress").count():
            page.wait_for_timeout(500)
        opening = time.monotonic() - start
        found = {
            "first grid": times([taken(page, lambda: page.goto(many), "ul.grid img") for _ in range(10)]),
            "filter": times(list(filtered(page, many))),
            "leaderboard": times(
                [taken(page, lambda: page.goto(f"{root}/runs"), "header img, main img") for _ in range(5)]
            ),
            "cell of the matrix to its places": times(list(cells(page, root))),
        }
        for size in BRUSHES:
            found[f"brush of {size} px"] = times(painted(page, large, size))
        own = [server, *server.children(recursive=True)]
        memory = sum(one.memory_info().rss for one in own) / 1e6
        used = sum(sum(one.cpu_times()[:2]) for one in psutil.Process().children(recursive=True))
        browser.close()
    return found, memory, opening, used


def named(page: Page, address: str) -> str:
    """Title of the page at an address."""
    page.goto(address)
    return page.locator("h1").inner_text().rpartition("/")[2]


def taken(page: Page, act: Callable[[], object], pictures: str) -> float:
    """Milliseconds until the first pictures can be seen."""
    start = time.perf_counter()
    act()
    while not page.evaluate(SEEN.format(pictures)):
        page.wait_for_timeout(2)
    return 1000 * (time.perf_counter() - start)


def filtered(page: Page, address: str) -> Iterator[float]:
    """Click one choice after the other: splits, classes, sizes, each without the others."""
    page.goto(address)
    keys = page.eval_on_selector_all(".facet a[id]", "all => all.map((one) => one.id)")
    for key in (keys * 40)[:40]:
        page.goto(address)
        before = page.url

        def act(key: str = key, before: str = before) -> None:
            page.locator(f"#{key}").click()
            while page.url == before:
                page.wait_for_timeout(1)

        yield taken(page, act, "ul.grid img")


def cells(page: Page, root: str) -> Iterator[float]:
    """From the matrix of one run after the other to the places behind a cell, which are cut out for the first time."""
    page.goto(f"{root}/runs")
    runs = page.eval_on_selector_all("a[href^='/run/']", "all => all.map((one) => one.href)")
    for place, run in enumerate(list(dict.fromkeys(runs))[:20]):
        page.goto(run)
        found = page.eval_on_selector_all("#matrix a[href*='/cell/']", "all => all.map((one) => one.href)")
        yield taken(page, partial(page.goto, found[place % len(found)]), "main img")


def painted(page: Page, address: str, size: int) -> list[float]:
    """The script's milliseconds for every movement of a brush on the large image."""
    page.goto(address)
    page.goto(page.locator("a[href*='/image/']").first.evaluate("one => one.href"))
    page.goto(page.locator("a[href^='/fix/']").first.evaluate("one => one.href"))
    page.wait_for_selector("#fix[data-ready]")
    page.locator("#size").fill(str(size))
    page.evaluate("performance.clearMeasures()")
    stage = page.locator("#stage").bounding_box()
    assert stage is not None  # noqa: S101
    for number in range(STROKES):
        y = stage["y"] + stage["height"] * (number + 1) / (STROKES + 1)
        page.mouse.move(stage["x"] + 40, y)
        page.mouse.down()
        page.mouse.move(stage["x"] + stage["width"] - 40, y + 20, steps=MOVES)
        page.mouse.up()
    return page.evaluate("performance.getEntriesByName('brush').map((one) => one.duration)")


def times(milliseconds: Sequence[float]) -> Times:
    """What is said of measured times."""
    ordered = sorted(milliseconds)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return Times(statistics.median(ordered), late, ordered[-1], len(ordered))


def page_of(content: dict[str, object], found: dict[str, Times]) -> str:
    """The page of what was measured."""
    rows = [
        f"| {name} | {one.median:.1f} | {one.p95:.1f} | {one.most:.1f} | {one.count} | {goal_of(name)} |"
        for name, one in found.items()
    ]
    return "\n".join(
        [
            "# Pages in the browser",
            "",
            f"`python benchmarks/ui.py run`: `pixelwise ui` with {content['images']:,} images of 64x64 and "
            f"{content['runs']} runs, in Chromium without a GPU on the same 2 cores as the server. Milliseconds from "
            "the click to the moment when what was asked for can be seen, pictures included; of the brush, those of "
            "the script for one movement of the pointer over an image of 2048x1024. Other processes used "
            f"{content['others']:.2f} cores meanwhile.",
            "",
            "| | median | 95 % | most | times | goal |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"Opening and examining all images took {content['opening_seconds']:.0f} s. The server and its processes "
            f"had {content['memory_mb']:.0f} MB in the end (goal: below {MOST_MEMORY}).",
            "",
        ]
    )


def goal_of(name: str) -> str:
    """The goal of a row; empty without one."""
    goal = next((f"< {most}" for start, most in GOALS.items() if name.startswith(start)), "")
    return f"{goal} (95 %)" if goal and name in ("filter", "first grid") else goal


if __name__ == "__main__":
    sys.exit(main())
