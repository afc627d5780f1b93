"""Runs networks of the catalogue in Chromium, in the page that `export --target web` writes, beside PyTorch.

    python benchmarks/web.py [--only NAME ...] [--gmacs 5] [--seconds 120] [--again]

Every distinct network of at most so many GMACs at its recipe's input size is exported with random weights and
normalisation statistics that fit its activations. A synthetic street scene of that size, a PNG file, then goes through
the page and through PyTorch, and the masks are compared pixel by pixel. A network that takes longer than `--seconds` in
the page is recorded as such. Results are added to benchmarks/measurements/web.json as they arrive (existing ones are
repeated only with --again); benchmarks/web.md is written from that file.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import describe, sealed
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.deployment.export.shapes import graph_options
from pixelwise.deployment.export.sources import open_source
from pixelwise.deployment.export.writing import write_artefact
from pixelwise.deployment.web.page import INDEX, write_page
from pixelwise.deployment.web.runtime import pinned, runtime_files
from pixelwise.machine.facts import machine_facts
from pixelwise.prediction.rules import rules_of
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.sizes import RESIZE
from pixelwise.recipes.default_sizes import input_size
from pixelwise.recipes.files import find
from pixelwise.runtimes.graphs import ExportedNetwork
from pixelwise.runtimes.sidecar import DESCRIPTION, Sidecar, write_sidecar
from pixelwise.runtimes.targets import find_target
from pixelwise.storage import write_text
from pixelwise.testing.exporting import distinct_networks, settled
from pixelwise.zoo.counting import count_recipe

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "measurements" / "web.json"
TABLE = HERE / "web.md"
CLASSES = 5
BUSY = re.compile(r"Loading|Segmenting")


class Page:
    """A page in a browser.

    Args:
        browser: Playwright's browser.
        address: Address of the page.
        seconds: Longest time of an image.

    Attributes:
        foreign: Addresses outside the page's own folder that it has asked for.
    """

    def __init__(self, browser: Any, address: str, seconds: float = 120.0) -> None:
        self.seen, self._seconds = browser.new_page(viewport={"width": 1280, "height": 900}), seconds
        self.foreign: list[str] = []
        home = address.removesuffix(INDEX)
        own = (home, "blob:", "data:")
        self.seen.on("request", lambda request: request.url.startswith(own) or self.foreign.append(request.url))
        self.seen.goto(address)
        self._settled()

    def mask(self, photo: Path) -> tuple[np.ndarray, str]:
        """The mask that the page offers for a photo, and what it says of it.

        Raises:
            RuntimeError: The page says that it cannot predict the photo.
            TimeoutError: It takes too long.
        """
        self.seen.set_input_files("#file", str(photo))
        said = self._settled()
        if not said.startswith(f"{photo.stem}: "):
            raise RuntimeError(said)
        with self.seen.expect_download() as download:
            self.seen.click("#download")
        return np.asarray(Image.open(download.value.path())), said

    def _settled(self) -> str:
        end = time.monotonic() + self._seconds
        # The page's policy forbids what Playwright would wait with.
        while BUSY.match(said := self.seen.inner_text("#status")):
            if time.monotonic() > end:
                raise TimeoutError(said)
            time.sleep(0.05)
        return said


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder behind Python's own file server: the address of its page."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{INDEX}"
        server.shutdown()


def browser_path() -> str | None:
    """The Chromium of this machine; None without one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        yield browser
        browser.close()


def written(name: str, folder: Path, runtime: dict[str, bytes]) -> tuple[Any, Sidecar]:
    """Write the page of a recipe's network with random weights; the network itself, and its description."""
    source, target = open_source(name, "none", CLASSES), find_target("onnx")
    settled(source.model)
    options = ExportOptions(target="web", weights="none")
    network = ExportedNetwork(source.model, graph_options(source, target, options, lambda *_: None)).eval()
    files = write_artefact(network, target, folder)
    sidecar = sealed(describe(network, source, target), target, files)
    write_sidecar(sidecar, folder / DESCRIPTION)
    write_page(folder, sidecar, runtime)
    return source.model, sidecar


def predicted(model: Any, sidecar: Sidecar, photo: Path) -> np.ndarray:
    """The mask of the network in PyTorch."""
    rules = rules_of(sidecar)
    segmenter = Segmenter(model, input_size=rules.input_size, reading=rules.reading, protocol=rules.protocol)
    return segmenter.predict(photo).labels


def run_one(name: str, browser: Any, runtime: dict[str, bytes], seconds: float) -> dict[str, Any]:
    """Compare one network in the page with PyTorch."""
    height, width = input_size(find(name)) or (256, 256)
    with tempfile.TemporaryDirectory() as scratch:
        folder, photo = Path(scratch), Path(scratch, "scene.png")
        Image.fromarray(RESIZE["antialiased"](draw_scene(0, 0, (256, 384))[0], (height, width))).save(photo)
        model, sidecar = written(name, folder, runtime)
        want = predicted(model, sidecar, photo)
        row = {"height": height, "width": width, "megabytes": (folder / "model.onnx").stat().st_size / 1e6}
        with served(folder) as address:
            page = Page(browser, address, seconds)
            try:
                found, said = page.mask(photo)
            except TimeoutError:
                return row | {"problem": f"more than {seconds:.0f} s"}
            except RuntimeError as error:
                return row | {"problem": str(error)}
            finally:
                page.seen.close()
        return row | {"different": int((found != want).sum()), "classes": len(np.unique(want)), "said": said}


def table(results: dict[str, Any]) -> str:
    """The page for the results."""
    rows, limits = results["networks"], results["limits"]
    lines = [
        "# Networks in a browser",
        "",
        f"`python benchmarks/web.py`: {results['browser']}, onnxruntime-web {results['runtime']}, one thread of",
        f"{results['machine']}. Networks of at most {limits['gmacs']:g} GMACs at their recipe's input",
        f"size, with random weights and {CLASSES} classes, predict a synthetic street scene of that size in the",
        "page of `export --target web`; their masks are compared with those of PyTorch, pixel by pixel.",
        f"{len(rows)} networks have been run. Times are those of one image on a machine that did other work",
        "too, so they show what is possible but do not compare networks.",
        "",
        "| recipe | GMACs | image | MB | pixels that differ | classes in the mask | in the page |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["gmacs"]):
        facts = f"| {name} | {row['gmacs']:.2f} | {row['width']}x{row['height']} | {row['megabytes']:.1f} "
        if "problem" in row:
            lines.append(f"{facts}| | | {row['problem']} |")
            continue
        share = row["different"] / (row["height"] * row["width"])
        different = f"{row['different']} ({100 * share:.4f} %)" if row["different"] else "0"
        lines.append(f"{facts}| {different} | {row['classes']} | {row['said'].partition(': ')[2].rstrip('.')} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the chosen networks, those with the fewest GMACs first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="names of recipes")
    parser.add_argument("--gmacs", type=float, default=5.0, help="skip networks with more")
    parser.add_argument("--seconds", type=float, default=120.0, help="longest time of an image")
    parser.add_argument("--runtime", help="folder or archive of the npm package onnxruntime-web")
    parser.add_argument("--again", action="store_true", help="repeat networks that already have a result")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runtime = runtime_files(arguments.runtime)
    counted = {name: count_recipe(find(name)).gmacs for name in distinct_networks()}
    small = {name: gmacs for name, gmacs in counted.items() if gmacs is not None and gmacs <= arguments.gmacs}
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"networks": {}}
    failed = 0
    with chromium() as browser:
        results |= {
            "browser": f"Chromium {browser.version}",
            "runtime": pinned().version,
            "machine": machine_facts().cpu,
            "limits": {"gmacs": arguments.gmacs, "seconds": arguments.seconds},
        }
        for name in sorted(arguments.only or small, key=small.__getitem__):
            if name in results["networks"] and not arguments.again:
                continue
            try:
                row = run_one(name, browser, runtime, arguments.seconds)
            except Exception as error:  # continue with the other networks
                failed += 1
                print(f"{name}: {error!r}", file=sys.stderr)
                continue
            results["networks"][name] = row | {"gmacs": small[name]}
            print(name, results["networks"][name], flush=True)
            write_text(RESULTS, json.dumps(results, indent=1) + "\n")
            write_text(TABLE, table(results))
    write_text(TABLE, table(results))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
