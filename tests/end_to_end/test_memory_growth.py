"""Long work does not grow: thousands of predictions, training steps and evaluated images end where they began.

Each runs in a process of its own, whose resident memory is compared after a warm-up and at the end.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.fuzz

MOST_GROWTH = 20.0
"""Megabytes."""

START = """
import gc, sys
import numpy as np, psutil
from pixelwise.observer import Observer

process, marks = psutil.Process(), []
def mark():
    gc.collect()
    marks.append(process.memory_info().rss / 1e6)
run, data, output = sys.argv[1:]
"""
END = """
print(f"{marks[0]:.1f} MB, then {marks[1]:.1f} MB")
print(marks[1] - marks[0])
"""

PREDICTIONS = """
import pixelwise
segmenter = pixelwise.load(run)
random = np.random.default_rng(0)
for number in range(5300):
    if number == 300:
        mark()
    segmenter.predict(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).overlay()
mark()
"""

STEPS = """
from pixelwise.training.runs import train

class Watch(Observer):
    def step(self, status):
        if status.step in (200, 2200):
            mark()

overrides = [
    "model.encoder=test_resnet", "augment.crop=[32,32]", "sampling.batch_size=2", "schedule.iterations=2200",
    "selection.every_epochs=100", "checkpoints.every_steps=200", "data.workers=0",
]
train("generic-linear", data=data, output=output, threads=1, overrides=overrides, observer=Watch())
"""

EVALUATED = """
import pixelwise

class Watch(Observer):
    def progress(self, done, total):
        if total == 2300 and done in (300, 2300):
            mark()

pixelwise.evaluate(run, data=data, split="test", observer=Watch())
"""


@pytest.fixture(scope="module")
def many_images(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classes of the tiny data, with 2,300 images of 32x32 in the test split."""
    root = tmp_path_factory.mktemp("many")
    (root / "dataset.toml").write_text((tiny_data / "dataset.toml").read_text("utf-8"), encoding="utf-8", newline="\n")
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        for split in ("train", "test"):
            (root / folder / split).mkdir(parents=True)
    for number in range(2301):
        split = "test" if number else "train"
        image, labels = random.integers(0, 256, (32, 32, 3)), random.integers(0, 3, (32, 32))
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / split / f"{number}.png", compress_level=1)
        Image.fromarray(labels.astype(np.uint8)).save(root / "masks" / split / f"{number}.png", compress_level=1)
    return root


def growth(script: str, run: Path, data: Path, output: Path) -> float:
    """Growth of the resident memory in MB while the script runs, from its first mark to its second."""
    done = subprocess.run(
        [sys.executable, "-c", START + script + END, str(run), str(data), str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return float(done.stdout.splitlines()[-1])


def test_5000_predictions(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    assert growth(PREDICTIONS, tiny_run, tiny_data, tmp_path) < MOST_GROWTH


def test_2000_training_steps(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    assert growth(STEPS, tiny_run, tiny_data, tmp_path / "run") < MOST_GROWTH


def test_2000_evaluated_images(tiny_run: Path, many_images: Path, tmp_path: Path):
    assert growth(EVALUATED, tiny_run, many_images, tmp_path) < MOST_GROWTH
