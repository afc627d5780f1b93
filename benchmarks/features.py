"""Training a head on a frozen encoder, with and without `data.cache_features`: CPU seconds per epoch and scores.

    python benchmarks/features.py --data nuclei-100 [--epochs 12]

`small_data.py divide` makes the folder. EfficientNet-Lite0 with its ImageNet weights is frozen under two heads. First
without random augmentation, where a run without the cache sees the same images as one with it, so that the scores
differ by rounding alone; then with the recipe's own augmentation, where the cache repeats a number of views. The
cache begins empty. An epoch is timed from the end of its first step to that of the next epoch's; the median is given.
Time is that of one thread on the processor, so that other programs on the machine do not count.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from measuring import HERE, write_result

import pixelwise
from pixelwise.observer import Observer
from pixelwise.records.status import TrainingStatus

HEADS = {"linear": "generic-linear", "unet": "unet"}
PLAIN = [
    "augment.crop=none", "augment.resize=[256,256]", "augment.scale=none", "augment.aspect=0", "augment.flip=0",
    "augment.class_crop=0", "augment.brightness=0", "augment.contrast=0", "augment.saturation=0",
    "augment.channel_gain=0", "augment.hue=0",
]  # fmt: skip
"""Nothing is random: every image is the same in every epoch."""
SHARED = ["planned=[]", "model.encoder=tf_efficientnet_lite0", "initialize.encoder=default", "initialize.freeze=true",
          "augment.crop=[256,256]", "augment.fit=none", "sampling.batch_size=4", "precision.dtype=float32",
          "precision.channels_last=true", "selection.every_epochs=0", "selection.weights=last", "ema=none"]  # fmt: skip
TRIALS = {"nothing random": (PLAIN, (0, 1)), "augmented": ([], (0, 4))}
"""Kind of augmentation -> its changes, and the values of `data.cache_features`."""


class Watch(Observer):
    """Notes when the features were begun, when training was, and when each step ended."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        self.steps: list[float] = []

    def phase(self, name: str, unit: str = "") -> None:
        """A phase begins."""
        self.phases[name] = time.process_time()

    def step(self, status: TrainingStatus) -> None:
        """A step has ended."""
        self.steps.append(time.process_time())

    def features(self) -> float:
        """Seconds in which features were computed."""
        begun = self.phases.get("computing the features")
        return 0.0 if begun is None else self.phases["training"] - begun

    def epoch(self, steps: int) -> float:
        """Median seconds of an epoch of that many steps."""
        ends = self.steps[::steps]
        return statistics.median(after - before for before, after in itertools.pairwise(ends))


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    command = f"python benchmarks/features.py --data {options.data.name} --epochs {options.epochs}"
    rows = []
    with tempfile.TemporaryDirectory() as work:
        os.environ["XDG_CACHE_HOME"] = f"{work}/cache"
        for head, recipe in HEADS.items():
            for augmented, (changes, numbers) in TRIALS.items():
                for views in numbers:
                    words = [*SHARED, *changes, f"schedule.epochs={options.epochs}", f"data.cache_features={views}"]
                    row = measured(recipe, words, options, Path(work) / f"{head}-{augmented}-{views}".replace(" ", "-"))
                    rows.append({"head": head, "augmentation": augmented, "views": views, **row})
                    print(rows[-1], flush=True)
                    write_result("features", {"command": command, "rows": rows})
                    (HERE / "features.md").write_text(page(command, rows), "utf-8")
    return 0


def measured(recipe: str, words: list[str], options: argparse.Namespace, run: Path) -> dict[str, float]:
    """Train once and score the test images."""
    watch = Watch()
    pixelwise.train(recipe, options.data, run, overrides=words, threads=1, evaluate=False, observer=watch)
    result = pixelwise.evaluate(run, split="val")
    kept = sum(path.stat().st_size for path in Path(os.environ["XDG_CACHE_HOME"]).glob("pixelwise/features/*/view-*"))
    return {
        "epoch": watch.epoch(len(watch.steps) // options.epochs),
        "before": watch.features(),
        "whole": watch.steps[-1] - watch.phases["training"] + watch.features(),
        "miou": 100 * result.miou,
        "megabytes": kept / 1e6 if watch.features() else 0.0,
    }


def page(command: str, rows: list[dict[str, object]]) -> str:
    """The table as Markdown."""
    lines = [
        "# Cached features of a frozen encoder",
        "",
        f"`{command}`: CPU seconds of one thread. *Before*: computing the features, once; *in all*: with the epochs.",
        "",
        "| head | augmentation | `data.cache_features` | seconds per epoch | before | in all | MB | mIoU on val |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["head"], row["augmentation"], row["views"]]
        cells += [f"{row[key]:.{digits}f}" for key, digits in (("epoch", 2), ("before", 1), ("whole", 0))]
        cells += [f"{row['megabytes']:.0f}", f"{row['miou']:.2f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
