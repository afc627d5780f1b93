"""Evaluation speed from logits to the confusion matrix: Pixelwise, torchvision's reference code and torchmetrics.

    python benchmarks/evaluation.py [--rounds 5] [--scenes 2]

Images of 1024x2048; logits at stride 4 and 8 with 19 and 150 classes, made from the label maps of the synthetic town:
the share of each class in a cell, blurred, plus smooth and fine noise. One thread; contenders take turns; peak memory
is measured in separate processes. All must count the same integers. Writes measurements/evaluation.json and
evaluation.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import measuring
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.metrics import confusion_matrix, upsampled_argmax
from pixelwise.recipes.class_sets.tables import IGNORE

HERE = Path(__file__).resolve().parent
SIZE = (1024, 2048)
CASES = [(19, 4), (19, 8), (150, 4), (150, 8)]
TOWN_CLASSES = 11

Count = Callable[[Tensor, Tensor, int], Tensor]
"""Logits (1, K, h, w), uint8 labels (H, W), K -> (K, K) int64."""


def pixelwise(logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Count the way `evaluate_model` does."""
    return confusion_matrix(labels, upsampled_argmax(logits, SIZE)[0], num_classes)


def torchvision_reference(logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Interpolate, argmax, mask, count in int64, as torchvision's segmentation reference does."""
    predicted = F.interpolate(logits, SIZE, mode="bilinear", align_corners=False).argmax(1).flatten()
    truth = labels.long().flatten()
    kept = (truth >= 0) & (truth < num_classes)
    index = num_classes * truth[kept] + predicted[kept]
    return torch.bincount(index, minlength=num_classes**2).reshape(num_classes, num_classes)


def torchmetrics_default(logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Interpolate, argmax, then torchmetrics' confusion matrix with default validation."""
    from torchmetrics.classification import MulticlassConfusionMatrix

    predicted = F.interpolate(logits, SIZE, mode="bilinear", align_corners=False).argmax(1)
    metric = MulticlassConfusionMatrix(num_classes, ignore_index=IGNORE)
    metric.update(predicted, labels.long()[None])
    return metric.compute()


CONTENDERS: dict[str, Count] = {
    "pixelwise": pixelwise,
    "torchvision": torchvision_reference,
    "torchmetrics": torchmetrics_default,
}


def example(num_classes: int, stride: int, scene: int) -> tuple[Tensor, Tensor]:
    """Logits (1, K, h, w) float32 of a network that is mostly right, and labels uint8 (H, W)."""
    _, raw = draw_scene(0, scene, SIZE)
    ids = (np.arange(256) * num_classes // TOWN_CLASSES).clip(max=num_classes - 1)
    labels = np.where(raw < TOWN_CLASSES, ids[raw], IGNORE).astype(np.uint8)
    h, w = SIZE[0] // stride, SIZE[1] // stride
    rng = np.random.default_rng([scene, num_classes, stride])
    logits = np.empty((1, num_classes, h, w), np.float32)
    for class_id in range(num_classes):
        share = cv2.resize((labels == class_id).astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
        smooth = rng.standard_normal((h // 8 + 1, w // 8 + 1), np.float32)
        fine = 0.1 * rng.standard_normal((h, w), np.float32)
        smooth = cv2.resize(smooth, (w, h), interpolation=cv2.INTER_CUBIC)
        logits[0, class_id] = 8 * cv2.GaussianBlur(share, (0, 0), 1.0) + smooth + fine
    return torch.from_numpy(logits), torch.from_numpy(labels)


def undecided_share(logits: Tensor) -> float:
    """Share of source cells whose best class differs from that of a neighbour to the right, below or diagonal."""
    best = logits.argmax(1)[0]
    corner = best[:-1, :-1]
    differs = (corner != best[1:, :-1]) | (corner != best[:-1, 1:]) | (corner != best[1:, 1:])
    return float(differs.float().mean())


def peak_mib() -> float:
    """Peak resident memory of this process in MiB (Linux)."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def memory_of_one(name: str, num_classes: int, saved: Path) -> None:
    """Print by how many MiB the peak memory of this process grows while one image is counted."""
    torch.set_num_threads(1)
    count = CONTENDERS[name]
    # The first call loads libraries.
    count(torch.zeros(1, 2, 4, 8), torch.zeros(SIZE, dtype=torch.uint8), 2)
    logits, labels = torch.load(saved, weights_only=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is that of loading
    before = peak_mib()
    count(logits, labels, num_classes)
    print(peak_mib() - before)


def peak_memory(name: str, num_classes: int, saved: Path) -> float:
    """Peak memory in MiB above logits and labels, measured in a separate process."""
    command = [sys.executable, __file__, "--memory-of", name, str(num_classes), str(saved)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure(num_classes: int, stride: int, rounds: int, scenes: int, work: Path) -> dict[str, object]:
    """Measure one row of the table."""
    examples = [example(num_classes, stride, scene) for scene in range(scenes)]
    for logits, labels in examples:
        found = [count(logits, labels, num_classes) for count in CONTENDERS.values()]
        if not all(torch.equal(found[0], other) for other in found[1:]):
            raise SystemExit(f"{num_classes} classes, stride {stride}: the contenders count different integers")

    def run(count: Count) -> Callable[[], object]:
        return lambda: [count(logits, labels, num_classes) for logits, labels in examples]

    samples = measuring.interleave({name: run(count) for name, count in CONTENDERS.items()}, rounds)
    saved = work / "example.pt"
    torch.save(examples[0], saved)
    contenders = {
        name: {
            "cpu_ms": [1000 * value for value in measuring.summary(samples[name], scenes)],
            "wall_ms": [1000 * value for value in measuring.summary(samples[name], scenes, "wall")],
            "peak_mib": peak_memory(name, num_classes, saved),
            "times_pixelwise": list(measuring.ratios(samples["pixelwise"], samples[name])),
        }
        for name in CONTENDERS
    }
    undecided = float(np.mean([undecided_share(logits) for logits, _ in examples]))
    return {"classes": num_classes, "stride": stride, "undecided": undecided, "contenders": contenders}


def write(rows: list[dict], rounds: int, scenes: int) -> None:
    """Write the data and the table."""
    content = {"size": SIZE, "rounds": rounds, "scenes": scenes, "threads": 1, "identical_integers": True, "rows": rows}
    measuring.write_result("evaluation", content)
    lines = [
        "# From logits to the confusion matrix",
        "",
        f"`python benchmarks/evaluation.py --rounds {rounds} --scenes {scenes}`: {SIZE[0]}x{SIZE[1]}, one thread, "
        "milliseconds of CPU time per image: median (minimum to maximum) of the rounds; memory above logits and "
        "labels. All contenders count the same integers. Undecided: source cells whose corners have different classes.",
        "",
        "| classes, stride | undecided | contender | CPU ms | wall ms | times Pixelwise's time | peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for name, found in row["contenders"].items():
            cpu, wall, times = (
                f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
                for (middle, low, high), digits in (
                    (found["cpu_ms"], 0),
                    (found["wall_ms"], 0),
                    (found["times_pixelwise"], 1),
                )
            )
            lines.append(
                f"| {row['classes']}, /{row['stride']} | {row['undecided']:.1%} | {name} | {cpu} | {wall} | {times} "
                f"| {found['peak_mib']:.0f} |"
            )
    (HERE / "evaluation.md").write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.memory_of:
        name, num_classes, saved = options.memory_of
        memory_of_one(name, int(num_classes), Path(saved))
        return
    rows = []
    for num_classes, stride in CASES:
        with tempfile.TemporaryDirectory() as work:
            rows.append(measure(num_classes, stride, options.rounds, options.scenes, Path(work)))
        print(rows[-1], flush=True)
    write(rows, options.rounds, options.scenes)


if __name__ == "__main__":
    main()
