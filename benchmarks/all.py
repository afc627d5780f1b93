"""Runs every speed benchmark in turn and makes the table and plots of README.md from the results.

    python benchmarks/all.py --data CamVid             # all of them: about half an hour on two free cores
    python benchmarks/all.py --data CamVid --only training,starting
    python benchmarks/all.py --tables                  # measures nothing, only regenerates the table and plots

Needs `pip install 'pixelwise[benchmark]'`. Ratios are between contenders that took turns on one machine in one run;
absolute figures hold for that machine only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from draw_pictures import record_file
from measuring import HERE, RESULTS

PLOTS = HERE / "plots"
README = HERE / "README.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
OURS, PEER = "#0072b2", "#999999"

Measured = Mapping[str, Any]
"""Decoded result file of a benchmark."""


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        what: Name of the measurement.
        against: Name of the peer.
        aim: Target value: a lower bound, or an upper bound if the unit is `s`.
        found: Median, minimum and maximum.
        unit: `x`, `s` or `%`.
    """

    what: str
    against: str
    aim: float
    found: tuple[float, float, float]
    unit: str = "x"

    @property
    def reached(self) -> bool:
        """Whether the median meets the target."""
        return self.found[0] <= self.aim if self.unit == "s" else self.found[0] >= self.aim

    def words(self) -> tuple[str, str]:
        """Target and measured value as texts."""
        if self.unit == "s":
            return f"< {self.aim:g} s", "{:.2f} s ({:.2f} to {:.2f})".format(*self.found)
        if self.unit == "%":
            return f">= {self.aim:g} %", "{:.0f} % ({:.0f} to {:.0f})".format(*self.found)
        return f">= {self.aim:g}x", "{:.2f}x ({:.2f} to {:.2f})".format(*self.found)


class Bar(NamedTuple):
    """A bar of a plot."""

    name: str
    found: tuple[float, float, float]


def main() -> int:
    """Run the chosen benchmarks, then make the table and the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of CamVid")
    parser.add_argument(
        "--only", default=",".join(COMMANDS), help=f"benchmarks to run, separated by commas: {', '.join(COMMANDS)}"
    )
    parser.add_argument("--tables", action="store_true", help="measure nothing; regenerate the table and the plots")
    options = parser.parse_args()
    chosen = [] if options.tables else options.only.split(",")
    if unknown := sorted(set(chosen) - set(COMMANDS)):
        parser.error(f"--only {','.join(unknown)}: expected some of {', '.join(COMMANDS)}")
    if chosen and options.data is None:
        parser.error("--data is missing: the folder of CamVid")
    for name in chosen:
        arguments = COMMANDS[name](options.data.resolve())
        print(f"== {name}.py {' '.join(arguments)}", flush=True)
        environment = os.environ | {"PIXELWISE_CAMVID": str(options.data.resolve())}
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], env=environment)
        if done.returncode:
            print(f"{name}.py ended with status {done.returncode}; nothing after it was measured", file=sys.stderr)
            return done.returncode
    write_readme()
    return 0


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "starting": lambda data: ["--data", str(data)],
    "data_path": lambda data: [],
    "evaluation": lambda data: [],
    "training": lambda data: ["--data", str(data)],
    "contention": lambda data: [],
    "distributed": lambda data: [],
    "steps": lambda data: ["--data", str(data)],
    "int8": lambda data: [],
    "prediction": lambda data: ["--data", str(data)],
}
"""Benchmarks in running order, each with a function that gives its arguments."""


def write_readme() -> None:
    """Write the part of README.md between the markers, and the plots it shows."""
    files = {name: RESULTS / f"{name}.json" for name in ROWS}
    found = {name: msgspec.json.decode(path.read_bytes()) for name, path in files.items() if path.is_file()}
    lines = ["| what | against | target | measured | |", "|---|---|---|---|---|"]
    for row in rows(found):
        aim, measured = row.words()
        mark = "reached" if row.reached else "not reached"
        lines.append(f"| {row.what} | {row.against} | {aim} | {measured} | {mark} |")
    machines = sorted({f"{one['machine']['cpu']}, {one['machine']['cores']} cores" for one in found.values()})
    lines += [
        "",
        f"Medians (minimum to maximum). Machine: {'; '.join(machines)}; the result files give the versions.",
        "",
    ]
    PLOTS.mkdir(exist_ok=True)
    for name, title, unit, bars in plots(found):
        draw(PLOTS / f"{name}.svg", title, unit, bars)
        record_file(PLOTS / f"{name}.svg")
        lines += [f"![{title}](plots/{name}.svg)", ""]
    text = README.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(before + BEGIN + "\n".join(lines) + END + after, "utf-8")


def rows(found: Mapping[str, Measured]) -> list[Row]:
    """The lines of the table for the results that exist."""
    return [row for name, make in ROWS.items() if name in found for row in make(found[name])]


def triple(summary: Mapping[str, float]) -> tuple[float, float, float]:
    """Median, minimum and maximum of an encoded `measuring.Summary`."""
    return summary["median"], summary["low"], summary["high"]


def data_path_rows(measured: Measured) -> list[Row]:
    """Rows for augmented samples per second of one core."""
    what = "augmented samples, colour jitter with hue"
    times = measured["times_faster_by_cpu_time"]
    return [
        Row(
            f"{what}, from {place}",
            f"{peer}, from files",
            aim,
            triple(times[f"pixelwise, hue, {place} / {peer}, files"]),
        )
        for place, peer, aim in (
            ("memory", "torchvision v2", 10), ("memory", "albumentations", 3), ("files", "albumentations", 1.5),
        )
    ]  # fmt: skip


def evaluation_rows(measured: Measured) -> list[Row]:
    """Rows for evaluation, from logits to the confusion matrix."""
    made = []
    for case in measured["rows"]:
        what = f"logits to confusion matrix, {case['classes']} classes, stride {case['stride']}"
        for peer in ("torchvision", "torchmetrics"):
            made.append(Row(what, peer, 6, tuple(case["contenders"][peer]["times_pixelwise"])))
        # Both peers need the same memory, for logits at full size.
        theirs, ours = (case["contenders"][name]["peak_mib"] for name in ("torchvision", "pixelwise"))
        made.append(Row(f"{what}, memory", "torchvision", 4, (theirs / ours,) * 3))
    return made


def training_rows(measured: Measured) -> list[Row]:
    """Rows for complete training loops, data included."""
    aims = {"pixelwise bfloat16": 3, "pixelwise float32": 1.3}
    made = []
    for name, summary in measured["times_faster"].items():
        ours, peer = name.split(" over ")
        made.append(Row(f"training on the CPU, {ours.split()[1]}", peer, aims[ours], triple(summary)))
    return made


def starting_rows(measured: Measured) -> list[Row]:
    """Rows for start-up times."""
    aims = {"pixelwise --help": 0.3, "import pixelwise": 0.1}
    return [
        Row(name, "-", aims.get(name, 8), triple(summary), unit="s")
        for name, summary in measured["seconds"].items()
        if "pixelwise" in name
    ]


def contention_rows(measured: Measured) -> list[Row]:
    """Rows for training with and without competing processes."""
    return [
        Row(f"training {measured['recipe']}, {place}", "default OpenMP waiting", aim, tuple(times))
        for place, aim in (("alone", 0.97), ("beside 2 busy loops", 5))
        for times in [measured["beside"][place.removeprefix("beside ")]["pixelwise"]["times_spinning"]]
    ]


def steps_rows(measured: Measured) -> list[Row]:
    """Rows for training steps on a GPU; results from a CPU have no target and appear only in steps.md."""
    if not measured["gpu"]:
        return []
    made = []
    for one in measured["recipes"]:
        name, where = one["recipe"], measured["device"]
        for variant, times in one["times_plain"].items():
            made.append(Row(f"{name} on {where}, {variant}", "plain PyTorch", 5, triple(times)))
            seconds = (one["all_steps_seconds"][variant],) * 3
            made.append(Row(f"{name} on {where}, {variant}, all steps", "-", 180, seconds, unit="s"))
        if "segformer" not in name:
            share = (100 * one["share_of_floor"],) * 3
            made.append(Row(f"{name} on {where}", "its floor", 70, share, unit="%"))
    return made


def prediction_rows(measured: Measured) -> list[Row]:
    """Rows for prediction from files to masks, beside an earlier version if one was measured."""
    times = measured["times_faster"]
    pairs = [(f"pixelwise, {kind} over before, {kind}", kind) for kind in ("run", "ONNX", "OpenVINO")]
    return [
        Row(f"prediction of a folder, {kind}", "the version before", 2, triple(times[name]))
        for name, kind in pairs
        if name in times
    ]


ROWS: dict[str, Callable[[Measured], list[Row]]] = {
    "starting": starting_rows,
    "data_path": data_path_rows,
    "evaluation": evaluation_rows,
    "training": training_rows,
    "contention": contention_rows,
    "steps": steps_rows,
    "prediction": prediction_rows,
}


def plots(found: Mapping[str, Measured]) -> list[tuple[str, str, str, list[Bar]]]:
    """File name, title, unit and bars of every plot."""
    made = []
    if "data_path" in found:
        speeds = found["data_path"]["samples_per_cpu_second"]
        bars = [
            Bar(f"{name}, from {place}", triple(speeds[f"{name}, hue, {place}"]))
            for name in ("pixelwise", "albumentations", "torchvision v2")
            for place in ("memory", "files")
        ]
        made.append(("data_path", "Augmented samples, colour jitter with hue", "samples per second of one core", bars))
    if "evaluation" in found:
        case = next(row for row in found["evaluation"]["rows"] if (row["classes"], row["stride"]) == (19, 4))
        bars = [Bar(name, tuple(one["cpu_ms"])) for name, one in case["contenders"].items()]
        title = "Logits to confusion matrix, 1024x2048, 19 classes, stride 4"
        made.append(("evaluation", title, "milliseconds of CPU time per image", bars))
    if "training" in found:
        bars = [Bar(name, triple(one)) for name, one in found["training"]["images_per_second"].items()]
        made.append(
            ("training", "Training on the CPU, ResNet-18 U-Net, 4 images of 360x480", "images per second", bars)
        )
    if "prediction" in found:
        bars = [Bar(name, triple(one)) for name, one in found["prediction"]["images_per_second"].items()]
        made.append(("prediction", "Prediction, from PNG files to PNG masks of 480x360", "images per second", bars))
    return made


def draw(path: Path, title: str, unit: str, bars: Sequence[Bar]) -> None:
    """Draw horizontal bars with their spread as SVG; the same values give the same file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "pixelwise", "font.family": "DejaVu Sans", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 0.9 + 0.42 * len(bars)), layout="constrained")
        axes = figure.add_subplot()
        names = [bar.name for bar in bars]
        medians = [bar.found[0] for bar in bars]
        spread = [[bar.found[0] - bar.found[1] for bar in bars], [bar.found[2] - bar.found[0] for bar in bars]]
        colors = [OURS if name.startswith("pixelwise") else PEER for name in names]
        axes.barh(names, medians, color=colors, xerr=spread, ecolor="#333333", capsize=3)
        for index, bar in enumerate(bars):
            axes.annotate(f"{bar.found[0]:.3g}", (bar.found[2], index), (6, 0), textcoords="offset points", va="center")
        axes.margins(x=0.12)
        axes.invert_yaxis()
        axes.set(title=title, xlabel=unit)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
