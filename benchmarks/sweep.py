"""Runs every published row end to end on a miniature of its data set.

    python benchmarks/sweep.py [--rows PATTERN] [--work FOLDER]

Each row gets an audit, two training steps with its own pipeline (with a small crop and batch, as the page says), an
evaluation with its protocol, and a result file. Writes benchmarks/measurements/sweep.json and benchmarks/sweep.md. An
interrupted sweep continues when it is given the same --work.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from pixelwise.errors import PixelwiseError
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.testing.rows import BATCH, CROP, STEPS, RowTrial, published_rows, try_row

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the sweep; returns 1 if a row failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", help="only rows whose name contains this text; writes no table")
    parser.add_argument("--work", type=Path, help="folder for miniatures and runs; default: a temporary one")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="pixelwise-sweep-"))
    trials: list[RowTrial] = []
    failures: dict[str, str] = {}
    names = [name for name in published_rows() if options.rows in name]
    for number, name in enumerate(names, start=1):
        run, kept = work / "runs" / name, work / "trials" / f"{name}.json"
        if kept.exists():
            trials.append(msgspec.json.decode(kept.read_bytes(), type=RowTrial))
            continue
        shutil.rmtree(run, ignore_errors=True)
        try:
            trials.append(try_row(name, work / "miniatures", run))
            print(f"{number}/{len(names)} {name}: {trials[-1].seconds:.0f} s", flush=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(msgspec.json.encode(trials[-1]))
        except (PixelwiseError, AssertionError) as error:
            failures[name] = str(error)
            print(f"{number}/{len(names)} {name}: FAILED {error}", flush=True)
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    if not options.rows and not failures:
        write(trials)
    if options.work is None:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if failures else 0


def write(trials: list[RowTrial]) -> None:
    """Write the table and the data behind it."""
    facts = {"machine": msgspec.to_builtins(machine_facts()), "versions": version_facts()}
    content = facts | {"trials": msgspec.to_builtins(trials)}
    (HERE / "measurements" / "sweep.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
    )
    lines = [
        "# All published rows on miniatures",
        "",
        f"`python benchmarks/sweep.py`: each row with its own data layout, transforms, loss, optimizer and protocol, "
        f"from random weights; {STEPS} steps of {BATCH} crops of at most {CROP}x{CROP}, and as many for an earlier "
        "stage. The mIoU of such a network means nothing, but that there is one shows that the row runs end to end. "
        "Seconds were measured on a shared machine.",
        "",
        "| recipe | data | earlier stage | trained as | protocol | images scored | seconds |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {trial.recipe} | {trial.dataset} | {', '.join(trial.stages) or '-'} | "
            f"{'float' if trial.quantization == 'none' else trial.quantization} | {trial.protocol} | {trial.images} | "
            f"{trial.seconds:.0f} |"
            for trial in trials
        ),
    ]
    (HERE / "sweep.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
