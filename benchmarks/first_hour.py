"""A newcomer's first hour, as a script: from `pip install` of the wheel to masks of further photos.

    python benchmarks/first_hour.py photos held-out [--minutes 20] [--name NAME]

`photos` holds images with masks; `held-out` further ones, which only the score at the end sees. Everything runs in a
new environment and a new folder, with the commands that the README shows. Counted are commands, characters to type and
files to write; timed are the steps and the wait for the first picture. The commands of other systems are those of their
own quick starts, and are counted only. Results go to `measurements/first_hour_NAME.json` and `first_hour.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
from measuring import RESULTS, write_result

ROOT = Path(__file__).resolve().parent.parent
PICTURES = (".html", ".png", ".webp", ".jpg")


class QuickStart(NamedTuple):
    """What somebody types with another system, from its documentation.

    Attributes:
        source: Page of the documentation.
        commands: Commands of the shell.
        files: Files to write: name -> content.
    """

    source: str
    commands: tuple[str, ...]
    files: dict[str, str]


YOLO_DATA = """\
path: photos
train: images/train
val: images/val
masks_dir: masks
names:
  0: background
  1: object
"""
LIGHTLY_TRAIN = """\
import lightly_train

if __name__ == "__main__":
    lightly_train.train_semantic_segmentation(
        out="out/first",
        model="dinov2/vits14-eomt",
        data={
            "train": {"images": "photos/images/train", "masks": "photos/masks/train"},
            "val": {"images": "photos/images/val", "masks": "photos/masks/val"},
            "classes": {0: "background", 1: "object"},
        },
    )
"""
LIGHTLY_PREDICT = """\
import lightly_train

model = lightly_train.load_model("out/first/exported_models/exported_best.pt")
masks = model.predict("more/1.jpg")
"""
OTHERS = {
    "Ultralytics YOLO (semantic)": QuickStart(
        "docs.ultralytics.com/datasets/semantic",
        (
            "pip install ultralytics",
            "yolo semantic train data=photos.yaml model=yolo26n-sem.pt epochs=100 imgsz=640",
            "yolo semantic predict model=runs/semantic/train/weights/best.pt source=more",
        ),
        {"photos.yaml": YOLO_DATA},
    ),
    "LightlyTrain": QuickStart(
        "docs.lightly.ai/train/stable/semantic_segmentation.html",
        ("pip install lightly-train", "python train.py", "python predict.py"),
        {"train.py": LIGHTLY_TRAIN, "predict.py": LIGHTLY_PREDICT},
    ),
}
"""System -> its documented quick start, November 2026."""


class Step(msgspec.Struct, frozen=True):
    """A command and how it went.

    Attributes:
        command: As it was typed.
        seconds: Wall-clock seconds.
        first_picture: Seconds from the start of the first command to the first page or picture, if this one wrote it.
    """

    command: str
    seconds: float
    first_picture: float | None = None


def main() -> int:
    """Go through the hour and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of labelled images to learn from")
    parser.add_argument("held_out", type=Path, help="folder of labelled images for the score")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--name", default="", help="name of the data in the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "photos").symlink_to(options.photos.resolve(), target_is_directory=True)
        (place / "held-out").symlink_to(options.held_out.resolve(), target_is_directory=True)
        environment = installed(place)
        commands = [
            "pixelwise check photos --html check.html",
            f"pixelwise train photos --minutes {options.minutes:g} -o runs/first",
            "pixelwise predict runs/first held-out -o out",
        ]
        steps = walk(commands, place, environment)
        score = run("pixelwise evaluate runs/first --data held-out --split all --json", place, environment)
    name = options.name or options.photos.name
    result = {
        "data": name,
        "minutes": options.minutes,
        "steps": [msgspec.to_builtins(step) for step in steps],
        "held_out": {key: json.loads(score)[key] for key in ("miou", "pixel_accuracy", "images", "protocol")},
        "typed": {
            "Pixelwise": typed(commands, {}),
            **{key: typed(one.commands, one.files) for key, one in OTHERS.items()},
        },
    }
    write_result(f"first_hour_{name}", result)
    text = page([msgspec.json.decode(path.read_bytes()) for path in sorted(RESULTS.glob("first_hour_*.json"))])
    (Path(__file__).resolve().parent / "first_hour.md").write_text(text, "utf-8")
    print(text)
    return 0


def installed(place: Path) -> dict[str, str]:
    """A new environment with the wheel of this clone; the variables under which its commands are found."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", place / "wheel", ROOT], check=True
    )
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    wheel = next((place / "wheel").glob("pixelwise-*.whl"))
    subprocess.run([place / "venv/bin/pip", "install", "--quiet", f"{wheel}[pretrained]"], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {
        "PATH": f"{place / 'venv/bin'}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(place / "cache"),
    }


def walk(commands: list[str], place: Path, environment: dict[str, str]) -> list[Step]:
    """Run the commands one after the other."""
    begin, steps, seen = time.time(), [], False
    for command in commands:
        start = time.time()
        run(command, place, environment)
        written = [path.stat().st_mtime for path in place.rglob("*") if is_picture(path, place)]
        first = min(written) - begin if written and not seen else None
        seen = seen or bool(written)
        steps.append(Step(command, time.time() - start, first))
    return steps


def is_picture(path: Path, place: Path) -> bool:
    """Whether a file is a page or a picture that a command wrote."""
    inside = path.relative_to(place).parts[0]
    return path.suffix in PICTURES and inside not in {"photos", "held-out", "venv", "wheel", "cache"}


def run(command: str, place: Path, environment: dict[str, str]) -> str:
    """What a command prints.

    Raises:
        SystemExit: It failed.
    """
    done = subprocess.run(shlex.split(command), cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stderr}")
    return done.stdout


def typed(commands: tuple[str, ...] | list[str], files: dict[str, str]) -> dict[str, int]:
    """Number of commands, of files to write, and of characters of both."""
    characters = sum(map(len, commands)) + sum(map(len, files.values()))
    return {"commands": len(commands), "files": len(files), "characters": characters}


def page(results: list[dict]) -> str:
    """The tables of all results."""
    lines = [
        "# The first hour",
        "",
        "`python benchmarks/first_hour.py photos held-out`: from the wheel to masks of photos that were held out, in a "
        "new environment. Steps in wall-clock seconds; the score is that of the held-out images.",
        "",
        "| data | check | first picture after | train and score | predict | mIoU on held-out images |",
        "|---|---|---|---|---|---|",
    ]
    for one in results:
        check, train, predict = one["steps"]
        first = next(step["first_picture"] for step in one["steps"] if step["first_picture"] is not None)
        score = f"{100 * one['held_out']['miou']:.1f} % of {one['held_out']['images']}"
        trained = f"{train['seconds']:.0f} (of {one['minutes']:g} min)"
        cells = [one["data"], f"{check['seconds']:.0f}", f"{first:.0f}", trained, f"{predict['seconds']:.0f}", score]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "What has to be typed until there are masks, by the quick start of each:", ""]
    lines += ["| | commands | files to write | characters |", "|---|---|---|---|"]
    for name, one in (results[-1]["typed"] if results else {}).items():
        lines.append(f"| {name} | {one['commands']} | {one['files']} | {one['characters']} |")
    sources = "; ".join(f"{name}: {one.source}" for name, one in OTHERS.items())
    return "\n".join([*lines, "", f"The other commands are counted, not run ({sources})."]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
