"""Draws the README's picture: an image of a run with its labels, prediction and errors, beside the run's report.

    make pictures    # a quarter of an hour: trains on the town, scores the run, draws this and the picture of the pages

The town is drawn by Pixelwise itself, so the picture may be used like the code. Needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

import numpy as np
from draw_pictures import record_file
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.records.details import load_samples

HEIGHT, GAP, LABEL = 640, 12, 30
PANEL = 400
"""Width of a panel in pixels."""
ERROR = (230, 97, 1)
BACKGROUND, INK = (252, 251, 248), (29, 29, 27)


def main() -> int:
    """Draw and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluation", type=Path, help="folder of an evaluation in a run folder")
    parser.add_argument("output", type=Path)
    parser.add_argument("--kind", default="median", help="worst, median or best")
    options = parser.parse_args()
    panels = of_sample(options.evaluation, options.kind)
    page = screenshot(options.evaluation.parent.parent / "report.html")
    picture = beside(panels, page)
    picture.save(options.output, "WEBP", quality=88, method=6)
    record_file(options.output)
    print(f"{options.output}: {picture.width}x{picture.height}, {options.output.stat().st_size / 1000:.0f} kB")
    return 0


def of_sample(evaluation: Path, kind: str) -> dict[str, Image.Image]:
    """Caption -> picture of the first sample of a kind."""
    folder = evaluation / "samples"
    found = load_samples(folder)
    if found is None:
        raise SystemExit(f"{folder} holds no samples")
    sample = next(one for one in found.samples if one.kind == kind)
    photo = Image.open(folder / sample.photo).convert("RGB")
    truth, prediction = Image.open(folder / sample.truth), Image.open(folder / sample.prediction)
    labels = np.asarray(truth)
    wrong = (labels != np.asarray(prediction)) & (labels != IGNORE)
    grey = np.asarray(photo.convert("L").convert("RGB")) // 2 + 100
    return {
        "photo": photo,
        "labels": Image.blend(photo, truth.convert("RGB"), 0.7),
        "prediction": Image.blend(photo, prediction.convert("RGB"), 0.7),
        "errors": Image.fromarray(np.where(wrong[..., None], np.uint8(ERROR), grey.astype(np.uint8))),
    }


def screenshot(page: Path) -> Image.Image:
    """The beginning of a page, as wide as a laptop shows it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 1060})
        tab.goto(page.resolve().as_uri())
        tab.wait_for_timeout(500)
        taken = tab.screenshot()
        browser.close()
    return Image.open(io.BytesIO(taken)).convert("RGB")


def beside(panels: dict[str, Image.Image], page: Image.Image) -> Image.Image:
    """Two rows of two panels with captions, and the page to the right of them."""
    font = ImageFont.load_default(18)
    tall = (HEIGHT - 3 * GAP) // 2
    page = page.resize(
        (round(page.width * (HEIGHT - 2 * GAP) / page.height), HEIGHT - 2 * GAP), Image.Resampling.LANCZOS
    )
    whole = Image.new("RGB", (2 * PANEL + page.width + 4 * GAP, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(whole)
    for number, (caption, panel) in enumerate(panels.items()):
        left, top = GAP + number % 2 * (PANEL + GAP), GAP + number // 2 * (tall + GAP)
        draw.text((left, top + 3), caption, INK, font)
        scale = min(PANEL / panel.width, (tall - LABEL) / panel.height)
        size = round(panel.width * scale), round(panel.height * scale)
        whole.paste(panel.resize(size, Image.Resampling.LANCZOS), (left, top + LABEL))
    whole.paste(page, (2 * PANEL + 3 * GAP, GAP))
    draw.rectangle((2 * PANEL + 3 * GAP - 1, GAP - 1, whole.width - GAP, HEIGHT - GAP), outline=(227, 224, 216))
    return whole


if __name__ == "__main__":
    sys.exit(main())
