"""Accuracy and speed of int8: a network trained on the synthetic town is exported, quantized, scored and timed.

    python benchmarks/int8.py [--work runs/int8] [--rounds 30] [--latency-only]

Writes results/town-fpnlite-*.json (mean IoU on the test split) and int8.md. Takes about twenty minutes on two CPU
cores, most of it training: first in float, then quantization-aware in two schemes. Runs in --work are trained only
once; --latency-only also keeps the artefacts and scores in --work and repeats only the timing, which takes a minute on
a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise import evaluate, export, quantize, train
from pixelwise.machine.facts import computes_bfloat16, processor_features
from pixelwise.profiling.latency import Candidate, Latency, measure_latency
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.result import Result, load_result
from pixelwise.runtimes import Sidecar, read_sidecar
from pixelwise.storage import write_bytes, write_text

HERE = Path(__file__).resolve().parent
NAME = "town-fpnlite"
FLOAT = (
    'model={family="fpnlite",encoder="mobilenetv2_100"}',
    "data.town_images=[400,40,40]",
    "schedule.iterations=400",
)
EIGHT_BIT = ("optimizer.lr=1e-5", "schedule.iterations=100", "selection.every_epochs=1")
SIZE = (144, 192)


class Variant(NamedTuple):
    """A variant of the network that is scored and timed.

    Attributes:
        name: Name in --work and of the result file.
        words: Name in the table.
        runtime: Name of the runtime.
        ptq: Whether it is quantized after training.
        scheme: Quantization scheme of the quantization-aware run it comes from; empty for the float run.
    """

    name: str
    words: str
    runtime: str
    ptq: bool = False
    scheme: str = ""

    @property
    def run(self) -> str:
        """Name of the folder of its run."""
        return f"run-{self.scheme}" if self.scheme else "run"


EAGER = (
    Variant("pytorch", "PyTorch, float32 (NCHW)", "torch"),
    Variant("pytorch-channels-last", "PyTorch, float32, channels last", "torch-channels-last"),
    Variant("pytorch-bf16", "PyTorch, bfloat16, channels last", "torch-bf16"),
)
"""PyTorch variants. Only the first is scored: its result is the reference for all others."""
ARTEFACTS = (
    Variant("onnx", "ONNX Runtime, float32", "onnx"),
    Variant("onnx-int8", "ONNX Runtime, int8 after training", "onnx", ptq=True),
    Variant("onnx-int8-qat", "ONNX Runtime, int8 trained (x86-8bit)", "onnx", scheme="x86-8bit"),
    Variant("onnx-int8-edgeai", "ONNX Runtime, int8 trained (edgeai-8bit)", "onnx", scheme="edgeai-8bit"),
    Variant("openvino", "OpenVINO, float32", "openvino"),
    Variant("openvino-int8", "OpenVINO, int8 after training", "openvino", ptq=True),
)


class Row(NamedTuple):
    """A row of the table."""

    variant: Variant
    result: Result | None
    latency: Latency
    sidecar: Sidecar | None
    megabytes: float


def main() -> int:
    """Train missing runs, then measure everything again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/int8"), help="folder of the runs and the artefacts")
    parser.add_argument("--rounds", type=int, default=30, help="measured passes of each candidate")
    parser.add_argument("--latency-only", action="store_true", help="keep the artefacts and scores that are in --work")
    options = parser.parse_args()
    work = options.work
    if not options.latency_only:
        train_runs(work)
        for variant in ARTEFACTS:
            make(variant, work)
        for variant in (EAGER[0], *ARTEFACTS):
            evaluate(place(variant, work), split="test")
            write_bytes(HERE / "results" / f"{NAME}-{variant.name}.json", stored_result(variant, work).read_bytes())
    load = os.getloadavg()[0]
    eager = EAGER if computes_bfloat16() else EAGER[:-1]
    variants = (*eager, *ARTEFACTS)
    latencies = measure_latency(
        [Candidate(source=str(place(variant, work)), runtime=variant.runtime, threads=1) for variant in variants],
        SIZE,
        rounds=options.rounds,
    )
    rows = [row(variant, work, latency) for variant, latency in zip(variants, latencies, strict=True)]
    text = page(rows, options.rounds, load)
    write_text(HERE / "int8.md", text)
    print(text)
    return 0


def train_runs(work: Path) -> None:
    """Train the float run and, starting from its result, the quantization-aware ones."""
    schemes = sorted({variant.scheme for variant in ARTEFACTS if variant.scheme})
    changes: dict[str, Sequence[str]] = {"run": FLOAT}
    for scheme in schemes:
        beginning = f"initialize.run={(work / 'run').resolve()}"
        changes[f"run-{scheme}"] = (*FLOAT[:2], f"quantization={scheme}", beginning, *EIGHT_BIT)
    for name, overrides in changes.items():
        if not (work / name).is_dir():
            train(apply_overrides(recipe("town-demo"), list(overrides)), output=work / name)


def make(variant: Variant, work: Path) -> None:
    """Make an artefact, replacing an existing one."""
    folder = work / variant.name
    shutil.rmtree(folder, ignore_errors=True)
    write = quantize if variant.ptq else export
    write(work / variant.run, folder, variant.runtime, size=SIZE, split="val")


def place(variant: Variant, work: Path) -> Path:
    """Folder of the run or of the artefact."""
    return work / (variant.name if variant in ARTEFACTS else variant.run)


def stored_result(variant: Variant, work: Path) -> Path:
    """Path of the result that `evaluate` writes."""
    return place(variant, work) / "evaluations" / "test-native" / "result.json"


def row(variant: Variant, work: Path, latency: Latency) -> Row:
    """Collect the result, latency and size of a variant."""
    if variant in EAGER:
        scored = variant is EAGER[0]
        return Row(variant, load_result(stored_result(variant, work)) if scored else None, latency, None, 0.0)
    sidecar, _ = read_sidecar(place(variant, work))
    size = sum((place(variant, work) / name).stat().st_size for name in sidecar.files) / 1e6
    return Row(variant, load_result(stored_result(variant, work)), latency, sidecar, size)


def page(rows: list[Row], rounds: int, load: float) -> str:
    """The page with the table; `load` is the machine's load average just before timing."""
    first, reference = rows[0], rows[0].result
    if reference is None:
        raise ValueError("the first row is the reference and needs a score")
    machine = reference.machine
    lines = [
        "# int8",
        "",
        f"`python benchmarks/int8.py`: FPNLite over MobileNetV2 (ReLU), trained for 400 steps on the synthetic town at "
        f"{SIZE[1]}x{SIZE[0]}, seed 0; mean IoU (%) by `evaluate` on the {reference.images} test images, protocol "
        "native. After training: calibrated on 128 training images. Trained: 100 more quantization-aware steps from "
        "the float result, learning rate 1e-5, so a gain over PyTorch also reflects the longer training. Latency: one "
        f"image, one thread, candidates take turns, median of {rounds} passes after a warm-up; the ratio is to eager "
        f"PyTorch (NCHW, float32) in the same run. Machine: {machine.cpu}, {machine.cores} cores, "
        f"{', '.join(processor_features()) or 'instructions unknown'}; load average just before timing {load:.1f}.",
        "",
        "| | mIoU (%) | against PyTorch | equal pixels on val (%) | files (MB) | ms | times as fast |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant, result, latency, sidecar, megabytes in rows:
        verification = sidecar.verification if sidecar is not None else None
        cells = [
            variant.words,
            f"{100 * result.miou:.2f}" if result else "-",
            f"{100 * (result.miou - reference.miou):+.2f}" if result else "-",
            f"{100 * verification.equal_pixels:.2f}" if verification is not None else "-",
            f"{megabytes:.1f}" if sidecar is not None else "-",
            f"{1000 * latency.median_seconds:.1f}",
            f"{first.latency.median_seconds / latency.median_seconds:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Equal pixels: share of pixels that get the same class from the artefact and from its network in PyTorch.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
