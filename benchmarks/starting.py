"""Start-up time of the command line and of training to its first step, each in a new process.

    python benchmarks/starting.py [--rounds 5] [--data CamVid]

`train` is measured to the end of a run of a single step, including its checkpoint, so slightly beyond the first step.
Without `--data` it runs on the synthetic town, which is drawn before the rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import interleave, summary, write_result

ENTRY = "from pixelwise.cli import entry; entry()"
ONE_STEP = [
    "schedule.iterations=1",
    "schedule.warmup_iterations=0",
    "selection.every_epochs=0",
    "selection.weights=last",
]


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, help="folder of CamVid; default: the synthetic town")
    options = parser.parse_args()
    name = "town-demo" if options.data is None else "camvid-cpu-15min"
    where = [] if options.data is None else ["--data", str(options.data)]

    def train() -> None:
        with tempfile.TemporaryDirectory() as work:
            run(["-c", ENTRY, "train", name, *where, "--output", f"{work}/run", "--no-evaluate", *ONE_STEP])

    contenders = {
        "pixelwise --help": lambda: run(["-c", ENTRY, "--help"]),
        "import pixelwise": lambda: run(["-c", "import pixelwise"]),
        f"pixelwise train {name}, to its first step": train,
        "python alone": lambda: run(["-c", "pass"]),
        "import torch": lambda: run(["-c", "import torch"]),
    }
    samples = interleave(contenders, options.rounds, warmup=1)
    seconds = {name: summary(taken, clock="wall")._asdict() for name, taken in samples.items()}
    command = f"python benchmarks/starting.py --rounds {options.rounds}" + (" --data CamVid" if where else "")
    write_result("starting", {"command": command, "seconds": seconds, "samples": samples})
    lines = [
        "# Starting",
        "",
        f"`{command}`: wall-clock seconds, each in a new process; median (minimum to maximum). The program files are "
        "in the page cache.",
        "",
        "| | seconds |",
        "|---|---|",
        *(f"| {name} | {one['median']:.2f} ({one['low']:.2f} to {one['high']:.2f}) |" for name, one in seconds.items()),
    ]
    (Path(__file__).resolve().parent / "starting.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))
    return 0


def run(arguments: list[str]) -> None:
    """Run Python with the given arguments until it ends."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
