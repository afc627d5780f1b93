"""A small data set with faults, for the pages of data, and a survey of it that has come to its end."""

import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.pages.labels.survey import Opened, Survey

CLASSES = ("<b>sky</b>", "road", "car")
SIZE = (48, 64)
"""Height and width of the images, but for `train/wide`, which has twice the width."""
ROAD = {"train/a": 10, "train/b": 20, "train/unknown": 30, "train/wide": 40, "val/copy": 10, "val/c": 5}
"""Split and id of an image -> rows of class 1 at the bottom of its mask; above them is class 0.

`val/copy` is `train/a`, file for file. The mask of `train/unknown` has the value 77 in its first row. In `val/c` a
square of 4x4 pixels is class 2."""


def shown_data(folder: Path) -> Path:
    """Write the data set into a folder."""
    generator = np.random.default_rng(0)
    for name, rows in ROAD.items():
        split, id = name.split("/")
        width = SIZE[1] * (2 if id == "wide" else 1)
        image = np.repeat(np.repeat(generator.integers(0, 256, (6, width // 8, 3), np.uint8), 8, 0), 8, 1)
        if id == "copy":
            image = np.asarray(Image.open(folder / "images" / "train" / "a.png"))
        mask = np.zeros((SIZE[0], width), np.uint8)
        mask[-rows:] = 1
        mask[:1] = 77 if id == "unknown" else 0
        if id == "c":
            mask[8:12, 8:12] = 2
        for kind, pixels in (("images", image), ("masks", mask)):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / split / f"{id}.png")
    (folder / "dataset.toml").write_text(f"classes = {list(CLASSES)}\n".replace("'", '"'))
    return folder


def examined(survey: Survey) -> Opened:
    """What is known of a data set when all of it is examined."""
    ended = time.monotonic() + 60
    while survey.standing.step != "done" and time.monotonic() < ended:
        survey.opened()
        time.sleep(0.005)
    opened = survey.opened()
    assert opened is not None
    assert survey.standing.step == "done", survey.standing
    return opened


def survey_of(folder: Path) -> Survey:
    """A survey of a folder."""
    return Survey(folder, threading.Lock())
