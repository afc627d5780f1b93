"""How long pages of `pixelwise ui` take in a browser with many images and runs, and how much memory its server needs.

    pixelwise data town town && pixelwise train town-demo --data town -o run
    python benchmarks/ui.py run [--images 10000] [--runs 50]

Draws pairs of 64x64 pixels as `scale.py` does, one of 2048x1024 to paint on, and copies the run, whose pictures and
matrix are real ones. Chromium opens the pages as a person would: a time runs from the click, or from the moment when
the browser begins to open an address, to the frame in which what was asked for is drawn, pictures included. The
browser's own clock is read, so that the time of the program that steers it does not count. Brush strokes are measured
by the page itself: the time of the script for each movement of the pointer. Memory is that of the server and all its
processes, resident pages of each added up: at the end, and the most of all looks, one every half second. Everything is
examined before, which is measured, too.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from measuring import HERE, write_result
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from scale import draw

DRAWN = """(what) => new Promise((done) => {
  const look = () => {
    const shown = [...document.querySelectorAll(what)].slice(0, 12);
    const there = (one) => one.tagName !== "IMG" || (one.complete && one.naturalWidth);
    const all = shown.length && shown[0] !== window.earlier && shown.every(there);
    requestAnimationFrame(all ? () => done(performance.now()) : look);
  };
  look();
})"""
"""Waits until the first elements that are asked for are drawn: milliseconds since the page was opened."""
NOTED = """(what) => {
  window.earlier = document.querySelector(what);
  addEventListener("click", (event) => { window.clicked = event.timeStamp; }, { capture: true, once: true });
}"""
"""Notes what is shown before a click, and when the click comes."""
LOOKS_EVERY = 0.5
"""Seconds between two looks at the memory of the server."""
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
        found = measure(work)
        others = max(0.0, _used(busy) - found.used) / (time.monotonic() - start)
    content = {
        "images": options.images,
        "runs": options.runs,
        "times": found.times,
        "memory_mb": found.memory,
        "most_memory_mb": found.most_memory,
        "opening_seconds": found.opening,
        "others": others,
    }
    write_result("ui", content)
    (HERE / "ui.md").write_text(page_of(content, found.times), "utf-8")
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


class Measured(NamedTuple):
    """What was measured.

    Attributes:
        times: Milliseconds of each thing.
        memory: MB of the server and its processes at the end.
        most_memory: MB at most.
        opening: Seconds until all images were examined.
        used: Seconds of processor time of all this.
    """

    times: dict[str, Times]
    memory: float
    most_memory: float
    opening: float
    used: float


def measure(work: Path) -> Measured:
    """Open the pages and do what is measured."""
    with served(work) as (server, address), watched(server) as looks, sync_playwright() as playwright:
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
            "first grid": times([opened(page, many, "ul.grid img") for _ in range(10)]),
            "filter": times(list(filtered(page, many))),
            "leaderboard": times([opened(page, f"{root}/runs", "table.board") for _ in range(5)]),
            "cell of the matrix to its places": times(list(cells(page, root))),
        }
        for size in BRUSHES:
            found[f"brush of {size} px"] = times(painted(page, large, size))
        memory = memory_of(server)
        # With the processes that have ended meanwhile.
        used = sum(sum(one.cpu_times()[:4]) for one in psutil.Process().children(recursive=True))
        browser.close()
    return Measured(found, memory, max([memory, *looks]), opening, used)


def named(page: Page, address: str) -> str:
    """Title of the page at an address."""
    page.goto(address)
    return page.locator("h1").inner_text().rpartition("/")[2]


def opened(page: Page, address: str, what: str) -> float:
    """Milliseconds until the first elements of a page that are asked for are drawn."""
    page.goto(address, wait_until="commit")
    return page.evaluate(DRAWN, what)


def filtered(page: Page, address: str) -> Iterator[float]:
    """Click one choice after the other: splits, classes, sizes, each without the others."""
    page.goto(address)
    keys = page.eval_on_selector_all(".facet a[id]", "all => all.map((one) => one.id)")
    for key in (keys * 40)[:40]:
        page.goto(address)
        page.evaluate(NOTED, "ul.grid img")
        page.locator(f"#{key}").click()
        yield page.evaluate(DRAWN, "ul.grid img") - page.evaluate("window.clicked")


def cells(page: Page, root: str) -> Iterator[float]:
    """From one run after the other to the places behind a frequent confusion, which are cut out for the first time.

    Of the rarest cells, no picture may have been kept.
    """
    page.goto(f"{root}/runs")
    runs = page.eval_on_selector_all("a[href^='/run/']", "all => all.map((one) => one.href)")
    for place, run in enumerate(list(dict.fromkeys(runs))[:20]):
        page.goto(run)
        found = page.eval_on_selector_all("li a[href*='/cell/']", "all => all.map((one) => one.href)")
        yield opened(page, found[place % len(found)], "main img")


@contextmanager
def watched(server: psutil.Process) -> Iterator[list[float]]:
    """Megabytes of the server and its processes, looked at again and again within the block."""
    found, over = [], threading.Event()

    def look() -> None:
        while not over.wait(LOOKS_EVERY):
            found.append(memory_of(server))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def memory_of(server: psutil.Process) -> float:
    """Megabytes that a server and its processes have now."""
    held = 0
    for one in [server, *server.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # ended meanwhile
            held += one.memory_info().rss
    return held / 1e6


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
            "the click to the frame in which what was asked for is drawn, pictures included, by the clock of the "
            "browser; of the brush, those of the script for one movement of the pointer over an image of 2048x1024. "
            "Other processes used "
            f"{content['others']:.2f} cores meanwhile.",
            "",
            "| | median | 95 % | most | times | goal |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"Opening and examining all images took {content['opening_seconds']:.0f} s. The server and its processes "
            f"had {content['memory_mb']:.0f} MB in the end (goal: below {MOST_MEMORY}), and "
            f"{content['most_memory_mb']:.0f} MB at most, while a process counted the operations of networks.",
            "",
        ]
    )


def goal_of(name: str) -> str:
    """The goal of a row; empty without one."""
    goal = next((f"< {most}" for start, most in GOALS.items() if name.startswith(start)), "")
    return f"{goal} (95 %)" if goal and not name.startswith("brush") else goal


if __name__ == "__main__":
    sys.exit(main())
