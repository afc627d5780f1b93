"""A results suite that anyone can run: networks and peers at fixed CPU budgets, on three data sets.

    python benchmarks/suite.py --camvid CamVid --nuclei stage1_train [--minutes 5 30] [--work runs/suite]
        [--threads 1 --at-once 2] [--smp PYTHON] [--ultralytics PYTHON]

Data: CamVid; the nuclei of the Data Science Bowl, divided by a fixed draw; the town. Systems: five networks trained by
`pixelwise train ... --minutes`; segmentation_models_pytorch in the loop of its CamVid example (`smp_peer.py`); and
ultralytics' semantic task (`ultralytics_peer.py`), which is AGPL-3.0. The last two run in environments of their own:

    python -m venv SMP && SMP/bin/pip install segmentation-models-pytorch albumentations     # --smp SMP/bin/python
    python -m venv YOLO && YOLO/bin/pip install ultralytics                        # --ultralytics YOLO/bin/python

Every system gets the same images, cores and minutes, and begins with random weights. It trains on `train`, may use
`val` to choose, and never sees a test image before it is trained; then it writes a mask for each of them, which is
scored here, as one confusion matrix over all pixels (`native`). Settings are those of this file: nothing is chosen on
test. With --at-once, several cells are trained at a time, each pinned to cores of its own.

Each cell (data, system, minutes, seed) is kept in --work once it is done. A cell that was stopped goes on where it can:
runs of Pixelwise exactly, the loop of segmentation_models_pytorch from its last minute; ultralytics begins anew. With
--kept nothing is trained, and the table shows the columns of which every system is done. Writes
measurements/suite.json, suite.md and plots/suite.svg; with --images, which is for trying the script, all into --work.
"""

from __future__ import annotations

import argparse
import random
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import small_data
from draw_pictures import record_file
from measuring import HERE, write_result
from suite_commands import ATTEMPTS, Commands
from suite_scores import COUNTS, Cell, gains, page, plot, scored, with_interval

from pixelwise.records.run_folder import RECIPE
from pixelwise.storage import write_bytes

TOWN = small_data.CAMVID
DATA = {"camvid": small_data.CAMVID, "nuclei": small_data.NUCLEI, "town": TOWN}
"""Data set -> its classes."""
NUCLEI_SPLITS = {"test": 0.25, "val": 0.15}
TOWN_IMAGES = (240, 40, 60)
NETWORKS = {
    "U-Net-R18": '{family="unet",encoder="resnet18"}',
    "SwiftNet-R18": '{family="swiftnet",encoder="resnet18"}',
    "FPNLite-MNv2": '{family="fpnlite",encoder="mobilenetv2_100"}',
    "PIDNet-S": '{family="pidnet",variant="s"}',
    "SegFormer-B0": '{family="segformer",encoder="mit_b0",head="mlp",channels=256}',
}
"""Network -> its section `model`, for Pixelwise."""
RECIPE_FOR_ALL = ("unet", "optimizer.groups=[]", "optimizer.lr=0.001")
"""The recipe that plans itself, with one learning rate: no encoder has learned before. Chosen among 0.003, 0.001 and
0.0005 on CamVid's `val`, after five minutes on a core: SwiftNet reached 34.4, 47.9 and 47.7 %, U-Net 29.4, 33.5 and
32.5, SegFormer 22.5 and 30.9 with the first two."""
SMP = {"Unet-R18": ("unet", "resnet18"), "FPN-MNv2": ("fpn", "mobilenet_v2"), "Segformer-B0": ("segformer", "mit_b0")}
"""Network -> architecture and encoder, for segmentation_models_pytorch."""
OURS, THEIRS, ULTRALYTICS = "Pixelwise: ", "smp: ", "ultralytics: yolo26n-sem"
SYSTEMS = (*(OURS + name for name in NETWORKS), *(THEIRS + name for name in SMP), ULTRALYTICS)
YOLO = "yolo26n-sem.yaml"
CELL = "cell.json"
"""File in the folder of a cell that is done."""
GIVEN = {"camvid": "CamVid", "nuclei": "stage1_train", "smp": "PYTHON", "ultralytics": "PYTHON"}
"""Option -> what stands for its value, a path on this machine, in the command that a result names."""


class Key(NamedTuple):
    """A cell: what is trained on what, for how long."""

    data: str
    system: str
    minutes: float
    seed: int

    @property
    def folder(self) -> str:
        """Name of its folder."""
        letters = "".join(letter if letter.isalnum() else "-" for letter in self.system.lower())
        return f"{self.data}-{letters}-{self.minutes:g}min-seed{self.seed}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, then write the table; returns 1 if a cell is missing that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, help="folder with images/SPLIT and masks/SPLIT; left out without it")
    parser.add_argument("--nuclei", type=Path, help="folder stage1_train; left out without it")
    parser.add_argument("--minutes", type=float, nargs="+", default=[30.0], help="budgets of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2, help="processor cores of each training")
    parser.add_argument("--at-once", type=int, default=1, help="trainings at a time")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--smp", help="Python with segmentation-models-pytorch, albumentations; this one if left out")
    parser.add_argument("--ultralytics", help="Python with ultralytics; left out without it")
    parser.add_argument("--images", type=int, help="only so many of each split, for trying the script")
    parser.add_argument("--kept", action="store_true", help="train nothing: the table of what is complete in --work")
    parser.add_argument("--work", type=Path, default=Path("runs/suite"), help="folder of data, runs and cells")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        commands = Commands(options.at_once, options.threads)
    except ValueError as error:
        parser.error(str(error))
    names = [name for name in DATA if name == "town" or getattr(options, name) is not None]
    systems = [name for name in options.systems if name != ULTRALYTICS or options.ultralytics]
    for name in () if options.kept else names:
        divide(name, options)
    keys = [
        Key(name, system, minutes, seed)
        for minutes in sorted(options.minutes)
        for seed in options.seeds
        for name in names
        for system in systems
    ]
    if options.kept:
        keys = complete(keys, options.work)
    done: dict[Key, Cell] = {}

    def add(key: Key) -> None:
        try:
            done[key] = cell(key, options, commands)
        except subprocess.CalledProcessError as error:
            print(f"{key.folder}: status {error.returncode}; see {options.work / key.folder / 'log.txt'}", flush=True)

    commands.map(add, keys)
    report([done[key] for key in keys if key in done], options)
    return int(len(done) < len(keys))


def complete(keys: Sequence[Key], work: Path) -> list[Key]:
    """The cells of the data sets, budgets and seeds of which no system's cell is missing."""
    missing = {(key.data, key.minutes, key.seed) for key in keys if not (work / key.folder / CELL).is_file()}
    return [key for key in keys if (key.data, key.minutes, key.seed) not in missing]


def report(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    """Write the cells, the page and the plot: of a trial into `--work`, else where results are kept."""
    command = command_of(options)
    text = page(cells, command, OURS, options.at_once)
    target = HERE if options.images is None else options.work
    if options.images is None:
        summaries = [{k: v for k, v in msgspec.to_builtins(one).items() if k not in COUNTS} for one in cells]
        differences = [msgspec.to_builtins(one) for one in gains(cells, OURS)]
        write_result("suite", {"command": command, "cells": summaries, "differences": differences})
    (target / "plots").mkdir(exist_ok=True)
    (target / "suite.md").write_text(text, "utf-8")
    plot(cells, target / "plots" / "suite.svg", OURS)
    if options.images is None:
        record_file(target / "plots" / "suite.svg")
    print(text)


def command_of(options: argparse.Namespace) -> str:
    """The command that does the same again, with placeholders for the folders and environments of this machine."""
    words = ["python benchmarks/suite.py"]
    words += [f"--{name} {given}" for name, given in GIVEN.items() if getattr(options, name) is not None]
    words.append(f"--minutes {' '.join(f'{one:g}' for one in sorted(options.minutes))}")
    words.append(f"--seeds {' '.join(map(str, options.seeds))} --threads {options.threads} --at-once {options.at_once}")
    if set(options.systems) != set(SYSTEMS):
        words.append(f"--systems {' '.join(map(shlex.quote, options.systems))}")
    return " ".join(words)


def divide(name: str, options: argparse.Namespace) -> None:
    """Write `data/NAME` (train and val) and `data/NAME-test`, once; folders with `images/SPLIT` and `masks/SPLIT`."""
    learning, testing = (options.work / "data" / f"{name}{end}" for end in ("", "-test"))
    if testing.is_dir():
        return
    classes, source = DATA[name], getattr(options, name, None)
    if name == "town":
        source = options.work / "data" / "drawn-town"
        shutil.rmtree(source, ignore_errors=True)
        draw_town(source, options.images)
    if name == "nuclei":
        names = sorted(path.name for path in source.iterdir() if path.is_dir())
        random.Random(0).shuffle(names)
        test, val = (round(len(names) * share) for share in NUCLEI_SPLITS.values())
        splits = {"test": names[:test], "val": names[test : test + val], "train": names[test + val :]}
    else:
        splits = {split: small_data.frames_of(source, split) for split in ("train", "val", "test")}
    splits = {split: evenly(found, options.images) for split, found in splits.items()}
    small_data.write(learning, classes, {split: splits[split] for split in ("train", "val")}, source)
    # Written under another name first, so that the last folder is there only when all are complete.
    part = testing.with_name(f"{testing.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    small_data.write(part, classes, {"test": splits["test"]}, source)
    part.rename(testing)


def draw_town(folder: Path, images: int | None) -> None:
    """Draw the town as folders `images/SPLIT` and `masks/SPLIT`."""
    from pixelwise.datasets.preparing.drawing import draw_town as draw

    counts = TOWN_IMAGES if images is None else (images,) * 3
    draw(folder, [f"town_images={list(counts)}"])


def evenly(names: list[str], most: int | None) -> list[str]:
    """All names, or `most` of them at equal distances."""
    return names if most is None else names[:: max(1, len(names) // most)][:most]


def cell(key: Key, options: argparse.Namespace, commands: Commands) -> Cell:
    """A cell from its file, or trained, predicted and scored now.

    Raises:
        subprocess.CalledProcessError: The training or the prediction failed; its output is in `log.txt`.
    """
    folder = options.work / key.folder
    kept = folder / CELL
    if kept.is_file():
        return with_interval(msgspec.json.decode(kept.read_bytes(), type=Cell))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{key.folder}: training", flush=True)
    masks = folder / "masks"
    if key.system.startswith(OURS):
        commands.timed(training(key, folder, options), folder)
        photos = options.work / "data" / f"{key.data}-test" / "images" / "test"
        predicting = ["predict", str(folder / "run"), str(photos), "--no-overlay", "-o", str(folder)]
        commands.timed([sys.executable, "-m", "pixelwise", *predicting], folder)
    else:
        if key.system == ULTRALYTICS:
            # It cannot be stopped and go on within a time limit.
            (folder / ATTEMPTS).unlink(missing_ok=True)
        commands.timed(peer(key, folder, options), folder)
    truth = options.work / "data" / f"{key.data}-test" / "masks" / "test"
    found = scored(masks, truth, DATA[key.data])
    spent = sum(msgspec.json.decode((folder / ATTEMPTS).read_bytes(), type=list[float])) / 60
    done = Cell(
        data=key.data, system=key.system, minutes=key.minutes, seed=key.seed, cores=options.threads, spent=spent,
        **found,
    )  # fmt: skip
    write_bytes(kept, msgspec.json.encode(done))
    print(f"{key.folder}: mIoU {100 * done.miou:.2f} after {spent:.1f} minutes", flush=True)
    return done


def training(key: Key, folder: Path, options: argparse.Namespace) -> list[str]:
    """The command that trains a network with Pixelwise, or goes on with it."""
    command = [sys.executable, "-m", "pixelwise"]
    if (folder / "run" / RECIPE).is_file():
        return [*command, "resume", str(folder / "run"), "--threads", str(options.threads)]
    recipe, *changes = RECIPE_FOR_ALL
    data = str(options.work / "data" / key.data)
    asked = [recipe, data, f"model={NETWORKS[key.system.removeprefix(OURS)]}", *changes]
    limits = ["--minutes", f"{key.minutes:g}", "--seed", str(key.seed), "--threads", str(options.threads)]
    return [*command, "train", *asked, *limits, "--weights", "none", "--no-evaluate", "-o", str(folder / "run")]


def peer(key: Key, folder: Path, options: argparse.Namespace) -> list[str]:
    """The command that trains a peer and writes its masks."""
    learning = (options.work / "data" / key.data).resolve()
    photos = (options.work / "data" / f"{key.data}-test" / "images" / "test").resolve()
    shared = [
        str(learning),
        str(photos),
        str(folder.resolve()),
        f"{key.minutes:g}",
        str(options.threads),
        str(key.seed),
    ]
    if key.system == ULTRALYTICS:
        return [options.ultralytics, str(HERE / "ultralytics_peer.py"), "train", YOLO, *shared, *DATA[key.data]]
    architecture, encoder = SMP[key.system.removeprefix(THEIRS)]
    classes = str(len(DATA[key.data]))
    return [options.smp or sys.executable, str(HERE / "smp_peer.py"), architecture, encoder, *shared, classes]


if __name__ == "__main__":
    sys.exit(main())
