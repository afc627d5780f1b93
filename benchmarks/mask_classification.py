"""EoMT from random weights on 40 images of nuclei, with both ways to assign masks to queries, and killed on the way.

    python benchmarks/mask_classification.py --nuclei stage1_train [--steps 500] [--work FOLDER]

For `loss.matching.assignment=fixed` and `=hungarian`, the same recipe (`generic-eomt` over a small plain transformer)
is trained twice: once from the first step to the last, and once ended by SIGKILL after a third of the steps and
resumed. The last weights of the two have to be equal bit for bit. Scores are those of the 60 test images of
`small_data.py`, at their own size (`native`); nothing was chosen on them. Writes the two results to
benchmarks/results/, and benchmarks/mask_classification.md. A trained run is not repeated when --work is given again.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from measuring import HERE
from small_data import NUCLEI, NUCLEI_TESTED, write

import pixelwise
from pixelwise.machine.facts import machine_facts, version_facts

ASSIGNMENTS = ("fixed", "hungarian")
TRAINED, CHOSEN_ON = 40, 10
SETTINGS = [
    "model.encoder=vit_tiny_patch16_224", "initialize.encoder=none", "model.side=192", "model.queries=20",
    "augment.crop=[192,192]", "sampling.batch_size=4", "optimizer.lr=0.0005", "optimizer.layer_decay=1.0",
    "loss.matching.points=4096", "selection.every_epochs=0", "selection.weights=last", "precision.dtype=float32",
    "checkpoints.every_steps=100",
]  # fmt: skip
"""What differs from the recipe, which is meant for a pretrained encoder and photographs."""


def main() -> int:
    """Train, compare, score and write; returns 1 where a resumed run differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuclei", type=Path, required=True, help="folder stage1_train")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--work", type=Path, help="folder of data and runs; default: a temporary one")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="pixelwise-masks-"))
    nuclei = options.nuclei.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)  # so that results name no folder of this machine
    data = divide(nuclei, Path("nuclei-40"))
    rows, equal = [], True
    for assignment in ASSIGNMENTS:
        settings = [*SETTINGS, f"loss.matching.assignment={assignment}", f"schedule.iterations={options.steps}"]
        whole = trained(Path(assignment), data, settings, kill_after=None)
        killed = trained(Path(f"{assignment}-killed"), data, settings, kill_after=options.steps // 3)
        same = weights(whole) == weights(killed)
        equal &= same
        result = pixelwise.evaluate(whole, data=data, split="test")
        written = Path(assignment, "evaluations", f"test-{result.protocol}", "result.json").read_bytes()
        content = msgspec.json.decode(written) | {"data": data.name}
        target = HERE / "results" / f"nuclei-40-eomt-{assignment}.json"
        target.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
        rows.append(f"| {assignment} | {100 * result.miou:.2f} | {100 * result.per_class[1].iou:.2f} | "
                    f"{'bit for bit' if same else 'NO'} |")  # fmt: skip
    write_page(rows, options.steps)
    return 0 if equal else 1


def divide(nuclei: Path, folder: Path) -> Path:
    """Write the data set: the test images of `small_data.py`, and the first of those that it trains on."""
    if not folder.exists():
        names = sorted(path.name for path in nuclei.iterdir() if path.is_dir())
        random.Random(0).shuffle(names)
        tested, others = names[:NUCLEI_TESTED], names[NUCLEI_TESTED:]
        splits = {"train": others[:TRAINED], "val": others[TRAINED : TRAINED + CHOSEN_ON], "test": tested}
        write(folder, NUCLEI, splits, nuclei)
    return folder


def trained(run: Path, data: Path, settings: list[str], kill_after: int | None) -> Path:
    """A finished run: of one process, or of one that is killed after some steps and one that resumes it."""
    pixelwise_command = [sys.executable, "-m", "pixelwise"]
    if not run.exists():
        begin = [*pixelwise_command, "train", "generic-eomt", "--data", str(data), "-o", str(run), *settings]
        process = subprocess.Popen(begin, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if kill_after is not None and steps_of(run) >= kill_after:
                process.kill()
                process.wait()
                print(f"killed {run.name} after {steps_of(run)} steps", flush=True)
                break
            time.sleep(0.2)
    subprocess.run([*pixelwise_command, "resume", str(run)], check=True, stdout=subprocess.DEVNULL)
    return run


def steps_of(run: Path) -> int:
    """The last step that a run has logged; 0 before the first."""
    log = run / "log.jsonl"
    lines = log.read_bytes().splitlines()[:-1] if log.is_file() else []
    return max((msgspec.json.decode(line).get("step") or 0 for line in lines), default=0)


def weights(run: Path) -> bytes:
    """The bytes of the newest weights of a run."""
    newest = max((run / "checkpoints").glob("step-*"))
    return (newest / "model.safetensors").read_bytes()


def write_page(rows: list[str], steps: int) -> None:
    """Write the page."""
    versions, machine = version_facts(), machine_facts()
    lines = [
        "# Mask classification on 40 images",
        "",
        f"`python benchmarks/mask_classification.py --nuclei stage1_train --steps {steps}`: EoMT (`generic-eomt`) over "
        f"a small plain transformer from random weights, {TRAINED} training images of the Data Science Bowl 2018 "
        f"(nuclei, CC0), {steps} steps, last weights, one seed; the {NUCLEI_TESTED} test images at their size. Each "
        "was trained again, ended by SIGKILL after a third of the steps, and resumed from the checkpoint before. No "
        "encoder was pretrained, so the scores say that both assignments train, not what EoMT reaches on such images. "
        f"PyTorch {versions['torch']}, {machine.cpu}.",
        "",
        "| assignment | mIoU | IoU of nuclei | weights after SIGKILL and `resume` |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Settings: `{' '.join(SETTINGS)}`.",
    ]
    (HERE / "mask_classification.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
