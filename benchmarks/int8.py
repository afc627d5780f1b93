"""What int8 costs and gains: a network is trained on the synthetic town, exported, quantized, scored and timed.

    python benchmarks/int8.py [--work runs/int8] [--rounds 30]

Writes results/town-fpnlite-*.json (mean IoU on the test split) and int8.md. About a quarter of an hour on two CPU
cores, half of it training; the run in --work is trained once.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from pixelwise import evaluate, train
from pixelwise.deployment import export
from pixelwise.deployment.export import Exported
from pixelwise.deployment.quantization import quantize
from pixelwise.evaluation.result import Result
from pixelwise.profiling.latency import Candidate, Latency, measure_latency
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.storage import write_bytes, write_text

HERE = Path(__file__).resolve().parent
NAME = "town-fpnlite"
OVERRIDES = (
    'model={family="fpnlite",encoder="mobilenetv2_100"}',
    "data.town_images=[400,40,40]",
    "schedule.iterations=400",
)
SIZE = (144, 192)
ROWS = (
    ("pytorch", "PyTorch, float32"),
    ("onnx", "ONNX Runtime, float32"),
    ("onnx-int8", "ONNX Runtime, int8"),
    ("openvino", "OpenVINO, float32"),
    ("openvino-int8", "OpenVINO, int8"),
)


class Row(NamedTuple):
    """One line of the table."""

    words: str
    result: Result
    latency: Latency
    exported: Exported | None


def main() -> int:
    """Train what is not trained, and measure everything anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/int8"), help="folder of the run and the artefacts")
    parser.add_argument("--rounds", type=int, default=30, help="measured passes of each")
    options = parser.parse_args()
    run = options.work / "run"
    if not run.is_dir():
        train(apply_overrides(recipe("town-demo"), list(OVERRIDES)), output=run)
    artefacts: dict[str, Exported] = {}
    for name, _ in ROWS[1:]:
        folder = options.work / name
        shutil.rmtree(folder, ignore_errors=True)
        target = "onnx" if name.startswith("onnx") else "openvino"
        write = quantize if name.endswith("-int8") else export
        artefacts[name] = write(run, folder, target, size=SIZE, split="val")
    candidates = [Candidate(source=str(run), runtime="torch", threads=1)]
    candidates += [
        Candidate(source=str(exported.path), runtime=exported.sidecar.runtime, threads=1)
        for exported in artefacts.values()
    ]
    latencies = measure_latency(candidates, SIZE, rounds=options.rounds)
    rows = []
    for (name, words), latency in zip(ROWS, latencies, strict=True):
        source = run if name == "pytorch" else artefacts[name].path
        rows.append(Row(words, evaluate(source, split="test"), latency, artefacts.get(name)))
        folder = run if name == "pytorch" else artefacts[name].path.parent
        stored = folder / "evaluations" / "test-native" / "result.json"
        write_bytes(HERE / "results" / f"{NAME}-{name}.json", stored.read_bytes())
    text = page(rows, options.rounds)
    write_text(HERE / "int8.md", text)
    print(text)
    return 0


def page(rows: list[Row], rounds: int) -> str:
    """The table, and how it was made."""
    first = rows[0]
    lines = [
        "# int8",
        "",
        f"`python benchmarks/int8.py`: FPNLite over MobileNetV2 (ReLU), trained for 400 steps on the synthetic town at "
        f"{SIZE[1]}x{SIZE[0]}, seed 0; mean IoU (%) by `evaluate` on the {first.result.images} test images, protocol "
        "native. int8: calibrated on 128 training images. Latency: one image, one thread, candidates take turns, "
        f"median of {rounds} passes after a warm-up; the ratio is to eager PyTorch (NCHW, float32) in the same run. "
        f"Machine: {first.result.machine.cpu}, {first.result.machine.cores} cores.",
        "",
        "| | mIoU (%) | against PyTorch | equal pixels on val (%) | files (MB) | ms | times as fast |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        verification = row.exported.sidecar.verification if row.exported is not None else None
        lines.append(
            f"| {row.words} | {100 * row.result.miou:.2f} | {100 * (row.result.miou - first.result.miou):+.2f} | "
            + (f"{100 * verification.equal_pixels:.2f} | " if verification is not None else "- | ")
            + (f"{megabytes(row.exported):.1f} | " if row.exported is not None else "- | ")
            + f"{1000 * row.latency.median_seconds:.1f} | "
            f"{first.latency.median_seconds / row.latency.median_seconds:.1f} |"
        )
    return "\n".join(lines) + "\n"


def megabytes(exported: Exported) -> float:
    """Of all files of an artefact but `model.toml`."""
    return sum(exported.path.with_name(name).stat().st_size for name in exported.sidecar.files) / 1e6


if __name__ == "__main__":
    sys.exit(main())
