"""Runs every row of the published pages and of the page of modern models end to end on a miniature of its data set.

    python benchmarks/sweep.py [--pages published|modern] [--rows PATTERN] [--work FOLDER]

Each row gets an audit, two training steps with its own pipeline (with a small crop and batch, as the page says), an
evaluation with its protocol, and a result file. Writes benchmarks/measurements/sweep_published.json or
sweep_modern.json, or both, and benchmarks/sweep.md from the two. An interrupted sweep continues when it is given the
same --work.
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
from pixelwise.testing.rows import BATCH, CROP, STEPS, RowTrial, modern_rows, published_rows, try_row

HERE = Path(__file__).resolve().parent
PAGES = {"published": published_rows, "modern": modern_rows}
HEADINGS = {"published": "Published pages", "modern": "Modern models"}


def main() -> int:
    """Run the sweep; returns 1 if a row failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", choices=list(PAGES), help="only these pages; default: all")
    parser.add_argument("--rows", default="", help="only rows whose name contains this text; writes no table")
    parser.add_argument("--work", type=Path, help="folder for miniatures and runs; default: a temporary one")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="pixelwise-sweep-"))
    complete = True
    for pages in [options.pages] if options.pages else list(PAGES):
        names = [name for name in PAGES[pages]() if options.rows in name]
        trials = sweep(names, work)
        complete &= len(trials) == len(names)
        if not options.rows and len(trials) == len(names):
            record(pages, trials)
    if complete and not options.rows:
        write()
    if options.work is None:
        shutil.rmtree(work, ignore_errors=True)
    return 0 if complete else 1


def sweep(names: list[str], work: Path) -> list[RowTrial]:
    """Try rows; those that failed are missing in what comes back."""
    trials: list[RowTrial] = []
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
            print(f"{number}/{len(names)} {name}: FAILED {error}", flush=True)
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return trials


def record(pages: str, trials: list[RowTrial]) -> None:
    """Write the data behind a part of the table."""
    facts = {"machine": msgspec.to_builtins(machine_facts()), "versions": version_facts()}
    content = facts | {"trials": msgspec.to_builtins(trials)}
    measured(pages).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def measured(pages: str) -> Path:
    """The file behind a part of the table."""
    return HERE / "measurements" / f"sweep_{pages}.json"


def write() -> None:
    """Write the table from the data of all pages."""
    lines = [
        "# All rows on miniatures",
        "",
        f"`python benchmarks/sweep.py`: each row with its own data layout, transforms, loss, optimizer and protocol, "
        f"from random weights; {STEPS} steps of {BATCH} crops of at most {CROP}x{CROP}, and as many for an earlier "
        "stage. The mIoU of such a network means nothing, but that there is one shows that the row runs end to end. "
        "Seconds were measured on a shared machine.",
    ]
    for pages, heading in HEADINGS.items():
        content = msgspec.json.decode(measured(pages).read_bytes())
        lines += [
            "",
            f"## {heading}",
            "",
            f"PyTorch {content['versions']['torch']}, {content['machine']['cpu']}.",
            "",
            "| recipe | data | earlier stage | trained as | protocol | images scored | seconds |",
            "|---|---|---|---|---|---|---|",
            *map(table_row, msgspec.convert(content["trials"], list[RowTrial])),
        ]
    (HERE / "sweep.md").write_text("\n".join(lines) + "\n", "utf-8")


def table_row(trial: RowTrial) -> str:
    """A row of the table."""
    return (
        f"| {trial.recipe} | {trial.dataset} | {', '.join(trial.stages) or '-'} | "
        f"{'float' if trial.quantization == 'none' else trial.quantization} | {trial.protocol} | {trial.images} | "
        f"{trial.seconds:.0f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
