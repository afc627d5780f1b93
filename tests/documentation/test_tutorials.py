"""The tutorials, followed from the first command to the last, with trainings of one epoch."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from documentation.pages import ROOT
from documentation.test_commands_on_pages import words_of
from PIL import Image

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

TUTORIALS = ROOT / "docs" / "tutorials"
STAYING = {"ui", "serve", "watch"}
"""Verbs that answer until they are stopped."""


def steps(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of what a reader of a page runs: a command, or a Python program."""
    blocks = re.findall(
        r"^```(\w*)\n(.*?)^```", (TUTORIALS / f"{page}.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    for language, text in blocks:
        if language == "python":
            yield language, text
        elif language == "":
            yield from (("", line) for line in text.splitlines() if line.strip())


def shortened(line: str) -> str:
    """A command whose training takes an epoch, and one that goes on another."""
    line = re.sub(r"--(minutes|epochs) \S+", "--epochs 1", line)
    return re.sub(r"(?<=resume )(.*)schedule\.epochs=\d+", r"\1schedule.epochs=2", line)


def answers_until_stopped(words: list[str]) -> None:
    """Start a verb that stays, wait until it says its address, and end it as Ctrl-C does."""
    command = [sys.executable, "-m", "pixelwise", *words]
    # Where the tests run in the background, they and their children ignore Ctrl-C.
    heeding = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", preexec_fn=heeding
    ) as process:
        try:
            said = ""
            for line in process.stdout or ():
                said += line
                if "http://" in said:
                    break
            assert "http://" in said, said
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode in (0, 130), said + rest


def follow(page: str, run_cli: Callable) -> None:
    for language, text in steps(page):
        if language == "python":
            ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
            continue
        words = shlex.split(shortened(text), comments=True)
        assert words[0] == "pixelwise", text
        words = words_of(shortened(text))
        if words[0] in STAYING:
            answers_until_stopped(words)
            continue
        code, stdout, stderr = run_cli(words)
        assert code == 0, f"{text}\n{stdout}\n{stderr}"


def photo(index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a bright rectangle on dark noise, and its rectangle as (top, left, bottom, right)."""
    random = np.random.default_rng(index)
    pixels = random.integers(0, 80, (size, size, 3), dtype=np.uint8)
    top, left = random.integers(8, size // 2, 2)
    box = np.array([top, left, top + size // 3, left + size // 3])
    pixels[box[0] : box[2], box[1] : box[3]] += 150
    return pixels, box


def labelled(folder: Path) -> None:
    """Photos with a file of LabelMe beside each."""
    (folder / "images").mkdir(parents=True)
    for index in range(12):
        pixels, (top, left, bottom, right) = photo(index, 128)
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
        corners = [[int(left), int(top)], [int(right), int(top)], [int(right), int(bottom)], [int(left), int(bottom)]]
        shape = {"label": "box", "points": corners, "shape_type": "polygon", "group_id": None, "flags": {}}
        document = {
            "version": "5.4.1", "flags": {}, "shapes": [shape], "imagePath": f"{index}.png", "imageData": None,
            "imageHeight": 128, "imageWidth": 128,
        }  # fmt: skip
        (folder / "images" / f"{index}.json").write_text(json.dumps(document), "utf-8")


def maps(folder: Path) -> None:
    """Four bands of 16 bits with their labels, on the ground, and a larger map."""
    ground = [
        (33550, "d", 3, (10.0, 10.0, 0.0), False),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 5400000.0, 0.0), False),
        (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632), False),
    ]

    def bands(pixels: np.ndarray) -> np.ndarray:
        return np.dstack([pixels, pixels[..., :1]]).astype(np.uint16) * 12

    for kind in ("images", "masks"):
        (folder / "fields" / kind).mkdir(parents=True)
    for index in range(10):
        pixels, (top, left, bottom, right) = photo(index, 96)
        mask = np.zeros((96, 96), np.uint8)
        mask[top:bottom, left:right] = 1
        tifffile.imwrite(
            folder / "fields" / "images" / f"{index}.tif", bands(pixels), photometric="minisblack", extratags=ground
        )
        tifffile.imwrite(folder / "fields" / "masks" / f"{index}.tif", mask, extratags=ground)
    tifffile.imwrite(
        folder / "map.tif", bands(photo(99, 300)[0]), photometric="minisblack", extratags=ground, tile=(64, 64)
    )


@pytest.mark.parametrize("page", sorted(path.stem for path in TUTORIALS.glob("*.md")))
def test_a_tutorial_works_to_its_last_command(
    page: str, run_cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    if page == "labels-to-board":
        labelled(tmp_path / "labelled")
    if page == "maps":
        maps(tmp_path)
    follow(page, run_cli)
    if page == "maps":
        with tifffile.TiffFile(tmp_path / "out" / "masks" / "map.tif") as written:
            assert written.pages[0].shape == (300, 300)
            assert written.pages[0].tags[33922].value[3:5] == (500000.0, 5400000.0)
        assert list((tmp_path / "out").rglob("*.gpkg"))
