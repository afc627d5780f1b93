"""What int8 costs and gains: a network trained on the synthetic town is exported, quantized, scored and timed.

    python benchmarks/int8.py [--work runs/int8] [--rounds 30] [--latency-only]

Writes results/town-fpnlite-*.json (mean IoU on the test split) and int8.md. About twenty minutes on two CPU cores,
most of it training: in float, then on with 8 bits in two schemes. Runs in --work are trained once; --latency-only
keeps the artefacts and scores in --work as well and times them anew, a minute on a quiet machine.
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


class Form(NamedTuple):
    """A form of the network: its name in --work and in results, and how it comes to be.

    Without a `scheme` it is the float run's, else that of a run trained on with 8 bits; `ptq`: quantized afterwards.
    """

    name: str
    words: str
    runtime: str
    ptq: bool = False
    scheme: str = ""

    @property
    def run(self) -> str:
        """The folder of its run."""
        return f"run-{self.scheme}" if self.scheme else "run"


EAGER = (
    Form("pytorch", "PyTorch, float32 (NCHW)", "torch"),
    Form("pytorch-channels-last", "PyTorch, float32, channels last", "torch-channels-last"),
    Form("pytorch-bf16", "PyTorch, bfloat16, channels last", "torch-bf16"),
)
"""Networks and their timing; only the first one is scored, as its result is what the others are compared with."""
ARTEFACTS = (
    Form("onnx", "ONNX Runtime, float32", "onnx"),
    Form("onnx-int8", "ONNX Runtime, int8 after training", "onnx", ptq=True),
    Form("onnx-int8-qat", "ONNX Runtime, int8 trained (x86-8bit)", "onnx", scheme="x86-8bit"),
    Form("onnx-int8-edgeai", "ONNX Runtime, int8 trained (edgeai-8bit)", "onnx", scheme="edgeai-8bit"),
    Form("openvino", "OpenVINO, float32", "openvino"),
    Form("openvino-int8", "OpenVINO, int8 after training", "openvino", ptq=True),
)


class Row(NamedTuple):
    """One line of the table."""

    form: Form
    result: Result | None
    latency: Latency
    sidecar: Sidecar | None
    megabytes: float


def main() -> int:
    """Train what is not trained, and measure everything anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/int8"), help="folder of the runs and the artefacts")
    parser.add_argument("--rounds", type=int, default=30, help="measured passes of each")
    parser.add_argument("--latency-only", action="store_true", help="keep the artefacts and scores that are in --work")
    options = parser.parse_args()
    work = options.work
    if not options.latency_only:
        train_runs(work)
        for form in ARTEFACTS:
            make(form, work)
        for form in (EAGER[0], *ARTEFACTS):
            evaluate(place(form, work), split="test")
            write_bytes(HERE / "results" / f"{NAME}-{form.name}.json", stored_result(form, work).read_bytes())
    load = os.getloadavg()[0]
    eager = EAGER if computes_bfloat16() else EAGER[:-1]
    forms = (*eager, *ARTEFACTS)
    latencies = measure_latency(
        [Candidate(source=str(place(form, work)), runtime=form.runtime, threads=1) for form in forms],
        SIZE,
        rounds=options.rounds,
    )
    rows = [row(form, work, latency) for form, latency in zip(forms, latencies, strict=True)]
    text = page(rows, options.rounds, load)
    write_text(HERE / "int8.md", text)
    print(text)
    return 0


def train_runs(work: Path) -> None:
    """The float run, and those that begin with its result and go on with 8 bits."""
    schemes = sorted({form.scheme for form in ARTEFACTS if form.scheme})
    changes: dict[str, Sequence[str]] = {"run": FLOAT}
    for scheme in schemes:
        beginning = f"initialize.run={(work / 'run').resolve()}"
        changes[f"run-{scheme}"] = (*FLOAT[:2], f"quantization={scheme}", beginning, *EIGHT_BIT)
    for name, overrides in changes.items():
        if not (work / name).is_dir():
            train(apply_overrides(recipe("town-demo"), list(overrides)), output=work / name)


def make(form: Form, work: Path) -> None:
    """An artefact, anew."""
    folder = work / form.name
    shutil.rmtree(folder, ignore_errors=True)
    write = quantize if form.ptq else export
    write(work / form.run, folder, form.runtime, size=SIZE, split="val")


def place(form: Form, work: Path) -> Path:
    """What is opened: the run, or the folder of the artefact."""
    return work / (form.name if form in ARTEFACTS else form.run)


def stored_result(form: Form, work: Path) -> Path:
    """Where `evaluate` keeps the score."""
    return place(form, work) / "evaluations" / "test-native" / "result.json"


def row(form: Form, work: Path, latency: Latency) -> Row:
    """What is known of a form."""
    if form in EAGER:
        scored = form is EAGER[0]
        return Row(form, load_result(stored_result(form, work)) if scored else None, latency, None, 0.0)
    sidecar, _ = read_sidecar(place(form, work))
    size = sum((place(form, work) / name).stat().st_size for name in sidecar.files) / 1e6
    return Row(form, load_result(stored_result(form, work)), latency, sidecar, size)


def page(rows: list[Row], rounds: int, load: float) -> str:
    """The table, and how it was made; `load`: the machine's, just before it was timed."""
    first, reference = rows[0], rows[0].result
    if reference is None:
        raise ValueError("the first row is the one that the others are compared with")
    machine = reference.machine
    lines = [
        "# int8",
        "",
        f"`python benchmarks/int8.py`: FPNLite over MobileNetV2 (ReLU), trained for 400 steps on the synthetic town at "
        f"{SIZE[1]}x{SIZE[0]}, seed 0; mean IoU (%) by `evaluate` on the {reference.images} test images, protocol "
        "native. After training: calibrated on 128 training images. Trained: 100 more steps with 8 bits, beginning "
        "with the float result, learning rate 1e-5; so a gain over PyTorch is also one of more training. Latency: one "
        f"image, one thread, candidates take turns, median of {rounds} passes after a warm-up; the ratio is to eager "
        f"PyTorch (NCHW, float32) in the same run. Machine: {machine.cpu}, {machine.cores} cores, "
        f"{', '.join(processor_features()) or 'instructions unknown'}; load average just before timing {load:.1f}.",
        "",
        "| | mIoU (%) | against PyTorch | equal pixels on val (%) | files (MB) | ms | times as fast |",
        "|---|---|---|---|---|---|---|",
    ]
    for form, result, latency, sidecar, megabytes in rows:
        verification = sidecar.verification if sidecar is not None else None
        cells = [
            form.words,
            f"{100 * result.miou:.2f}" if result else "-",
            f"{100 * (result.miou - reference.miou):+.2f}" if result else "-",
            f"{100 * verification.equal_pixels:.2f}" if verification is not None else "-",
            f"{megabytes:.1f}" if sidecar is not None else "-",
            f"{1000 * latency.median_seconds:.1f}",
            f"{first.latency.median_seconds / latency.median_seconds:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Equal pixels: of the artefact and the network in PyTorch that it was made from."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
