"""A newcomer's first hour, as a script: from `pip install` of the wheel to masks of further photos.

    python benchmarks/first_hour.py photos held-out [--minutes 20] [--name NAME]

`photos` holds images with masks; `held-out` further ones, which only the score at the end sees. Everything runs in a
new environment and a new folder. Timed are the steps and the wait for the first picture; what there is to read and to
type is counted by `quick_start.py`. Results go to `measurements/first_hour_NAME.json` and `first_hour.md`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from measuring import RESULTS, write_result
from quick_start import new_environment

PICTURES = (".html", ".png", ".webp", ".jpg")


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
    }
    write_result(f"first_hour_{name}", result)
    text = page([msgspec.json.decode(path.read_bytes()) for path in sorted(RESULTS.glob("first_hour_*.json"))])
    (Path(__file__).resolve().parent / "first_hour.md").write_text(text, "utf-8")
    print(text)
    return 0


def installed(place: Path) -> dict[str, str]:
    """A new environment with the wheel of this clone; the variables under which its commands are found."""
    environment = new_environment(place)
    run("pip install --quiet 'pixelwise[pretrained]'", place, environment)
    return environment


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
    typed = "What there is to read and to type until there are masks: [the quick start](quick_start.md)."
    return "\n".join([*lines, "", typed]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
