"""The README's quick start, typed as it stands by somebody who has only the wheel, and what there is to read and type.

    python benchmarks/quick_start.py [--minutes 2] [--photos FOLDER --more FOLDER]
    python benchmarks/quick_start.py --page                    # README.md has changed: counts anew, runs nothing
    python benchmarks/quick_start.py --count PAGE.md BEGIN END

The commands are read out of README.md and run in a shell, in a new environment in a new folder: nothing of the
repository is within reach but the wheel. `photos` and `more-photos` are drawn (street scenes with masks, CC0) unless
folders are named; `--minutes` replaces the README's minutes of training, which nobody reads or types through. Reading
and typing are counted; what other systems ask for is counted by the same rules from their documentation, whose text
stays there (`--count` counts a passage of a page on this machine). Writes `quick_start.md` and
`measurements/quick_start.json`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from measuring import RESULTS, write_result
from PIL import Image

from pixelwise.datasets.town.scenes import draw_scene

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
README = ROOT / "README.md"
READING, TYPING = 200, 100
"""Assumed: words read a minute (slow, because it is technical), and characters typed a minute (slow, because signs)."""
LIMIT = 10
"""Minutes of reading and typing that the quick start may take."""
SCENES = {"photos": 40, "more-photos": 8}
SIZE = (240, 320)


class Passage(NamedTuple):
    """A part of another documentation that has to be read, and its words.

    Attributes:
        page: Repository, commit and path of the page.
        part: Where it begins and ends.
        words: Number of words by `words_read`.
    """

    page: str
    part: str
    words: int


class QuickStart(NamedTuple):
    """What another system's documentation asks somebody with own photos to read and to type.

    Attributes:
        commands: Commands of the shell.
        files: Files to write: name -> content.
        passages: What has to be read for them.
    """

    commands: tuple[str, ...]
    files: dict[str, str]
    passages: tuple[Passage, ...]


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
            "train": {"images": "photos/train/images", "masks": "photos/train/masks"},
            "val": {"images": "photos/val/images", "masks": "photos/val/masks"},
            "classes": {0: "background", 1: "object"},
        },
    )
"""
LIGHTLY_PREDICT = """\
import lightly_train

model = lightly_train.load_model("out/first/exported_models/exported_best.pt")
masks = model.predict("more-photos/1.jpg")
"""
YOLO = "github.com/ultralytics/ultralytics/blob/{}/docs/en/{}"
LIGHTLY = "github.com/lightly-ai/lightly-train/blob/8f5a75c4107743fc9fdbd77e6fbc45664a014fd0/docs/source/{}"
OTHERS = {
    "Ultralytics YOLO (semantic)": QuickStart(
        (
            "pip install -U ultralytics",
            "yolo semantic train data=photos.yaml model=yolo26n-sem.pt epochs=100 imgsz=1024",
            "yolo semantic predict model=runs/semantic/train/weights/best.pt source=more-photos",
        ),
        {"photos.yaml": YOLO_DATA},
        (
            Passage(
                YOLO.format("009888cd330a87fda506a5705a6dbf4c8ece8938", "quickstart.md"),
                "from the title to `pip install`",
                107,
            ),
            Passage(
                YOLO.format("332fadea6ef79eaa64ce44900d351210c1f79d18", "datasets/semantic/index.md"),
                "PNG mask format; option A of adding a data set",
                255,
            ),
            Passage(
                YOLO.format("d346da685a1d77d609b7a9d177933a1696fdb7f5", "tasks/semantic.md"),
                "Train and Predict, to the second command of the CLI; without Python",
                90,
            ),
        ),
    ),
    "LightlyTrain": QuickStart(
        ("pip install lightly-train", "python train.py", "python predict.py"),
        {"train.py": LIGHTLY_TRAIN, "predict.py": LIGHTLY_PREDICT},
        (
            Passage(LIGHTLY.format("installation.md"), "from the title to `pip install`", 35),
            Passage(
                LIGHTLY.format("semantic_segmentation.md"),
                "training with EoMT, to the end of the first program; loading and predicting; data, to the folders of "
                "masks with the names of their images",
                397,
            ),
        ),
    ),
}
"""System -> the shortest way through its documentation, read on 30 November 2026."""


class Step(msgspec.Struct, frozen=True):
    """A command and how it went.

    Attributes:
        command: As it was typed.
        seconds: Wall-clock seconds.
    """

    command: str
    seconds: float


def main() -> int:
    """Count, run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="of training, in place of those of the README")
    parser.add_argument("--photos", type=Path, help="folder of images with masks; drawn without it")
    parser.add_argument("--more", type=Path, help="folder of images to predict; drawn without it")
    parser.add_argument(
        "--count", nargs=3, metavar=("PAGE", "BEGIN", "END"), help="count a passage and do nothing else"
    )
    parser.add_argument("--page", action="store_true", help="run nothing; write the page from the last run")
    options = parser.parse_args()
    if options.page:
        write_page()
        return 0
    if options.count:
        page, begin, end = options.count
        print(words_read(passage(Path(page).read_text("utf-8"), begin, end)))
        return 0
    text = README.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        given = {"photos": options.photos, "more-photos": options.more}
        for number, (name, source) in enumerate(given.items()):
            own_photos(place / name, source, number)
        environment = new_environment(place)
        steps = follow(shown_commands(text), options.minutes, place, environment)
        masks = len(list((place / "out" / "masks").glob("*.png")))
        expected = len(list((place / "more-photos").iterdir()))
    if masks != expected:
        raise SystemExit(f"{masks} masks of {expected} photos")
    write_result("quick_start", {"minutes": options.minutes, "photos": expected, "masks": masks, "steps": steps})
    write_page()
    return 0


def shown_commands(text: str) -> list[str]:
    """The commands of a page's first block of commands, without their comments."""
    block = re.search(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if block is None:
        raise SystemExit("README.md has no block of commands")
    lines = [re.sub(r"\s+#.*$", "", line).strip() for line in block[1].splitlines()]
    return [line for line in lines if line]


def passage(text: str, begin: str, end: str) -> str:
    """A page from the first place of `begin` to the first end of `end` after it."""
    start = text.index(begin)
    return text[start : text.index(end, start) + len(end)]


def needed(text: str) -> str:
    """README.md from its title to its commands, and the paragraph after them, which says how the photos have to lie."""
    head, commands, rest = re.split(r"^```$", text, maxsplit=2, flags=re.MULTILINE)
    return head + commands + rest.strip().partition("\n\n")[0]


def words_read(markdown: str) -> int:
    """Number of words that a page shows: between spaces, with a letter or a digit.

    Text of links counts, where they lead does not; neither do pictures, tags, and the signs of Markdown itself.
    """
    text = re.sub(r"\A---\n.*?^---\n", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\s*```.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"</?[a-z][^>]*>", "", text)
    return sum(bool(re.search(r"[^\W_]", word)) for word in text.split())


def typed(commands: Sequence[str], files: dict[str, str]) -> dict[str, int]:
    """Number of commands, of files to write, and of words and characters of both."""
    texts = [*commands, *files.values()]
    return {
        "commands": len(commands),
        "files": len(files),
        "words": sum(len(text.split()) for text in texts),
        "characters": sum(map(len, texts)),
    }


def own_photos(folder: Path, source: Path | None, seed: int) -> None:
    """Put photos where the README expects them: those of a folder, or drawn ones; masks beside those to learn from."""
    if source is not None:
        folder.symlink_to(source.resolve(), target_is_directory=True)
        return
    labelled = folder.name == "photos"
    images, masks = (folder / "images", folder / "masks") if labelled else (folder, None)
    images.mkdir(parents=True)
    if masks:
        masks.mkdir()
    for index in range(SCENES[folder.name]):
        image, labels = draw_scene(seed, index, SIZE)
        Image.fromarray(image).save(images / f"{index:03d}.png")
        if masks:
            Image.fromarray(labels).save(masks / f"{index:03d}.png")


def new_environment(place: Path) -> dict[str, str]:
    """A new, empty environment beside the wheel of this clone; the variables under which a shell uses it."""
    wheels = place / "wheel"
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {
        "PATH": f"{place / 'venv/bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip(),
        "XDG_CACHE_HOME": str(place / "cache"),
    }


def follow(commands: list[str], minutes: float, place: Path, environment: dict[str, str]) -> list[Step]:
    """Type the commands one after the other.

    Raises:
        SystemExit: One failed, or what was installed is not the wheel of this clone.
    """
    steps = []
    for command in commands:
        line = re.sub(r"--minutes \S+", f"--minutes {minutes:g}", command)
        start = time.time()
        done = subprocess.run(
            ["bash", "-c", line], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{line}\n{done.stdout}\n{done.stderr}")
        steps.append(Step(line, time.time() - start))
        print(f"{steps[-1].seconds:7.1f} s  {line}", flush=True)
        if line.startswith("pip install"):
            is_of_the_wheel(place)
    return steps


def is_of_the_wheel(place: Path) -> None:
    """Refuse another package of the same name."""
    wheel = next((place / "wheel").glob("pixelwise-*.whl"))
    installed = next((place / "venv").rglob("site-packages/pixelwise/__init__.py")).parent.parent
    with zipfile.ZipFile(wheel) as archive:
        other = [name for name in archive.namelist() if name.endswith(".py")]
        other = [name for name in other if archive.read(name) != (installed / name).read_bytes()]
    if other:
        raise SystemExit(f"{wheel.name} is not what was installed: {other[:3]}")


def counts() -> dict[str, dict[str, int]]:
    """System -> what there is to type and to read."""
    text = README.read_text("utf-8")
    commands = shown_commands(text)
    ours = typed(commands, {}) | {"read": words_read(needed(text))}
    return {"Pixelwise": ours} | {
        name: typed(one.commands, one.files) | {"read": sum(part.words for part in one.passages)}
        for name, one in OTHERS.items()
    }


def minutes_of(count: dict[str, int]) -> float:
    """Minutes of reading and typing."""
    return count["read"] / READING + count["characters"] / TYPING


def write_page() -> None:
    """Write `quick_start.md` from the counts and the last run."""
    (HERE / "quick_start.md").write_text(
        page(msgspec.json.decode((RESULTS / "quick_start.json").read_bytes())), "utf-8"
    )


def page(result: dict) -> str:
    """The tables."""
    header = ["commands", "files to write", "words typed", "characters typed", "words read", "minutes"]
    machine = result["machine"]
    lines = [
        "# The quick start",
        "",
        f"`python benchmarks/quick_start.py --minutes {result['minutes']:g}` builds the wheel, makes a new environment "
        "outside the repository, and types the commands that README.md shows, as they stand there; only the minutes of "
        f"training are replaced. On {machine['cpu']}, {machine['cores']} cores that other work shared:",
        "",
        "| typed | seconds |",
        "|---|---|",
        *(f"| `{step['command']}` | {step['seconds']:.0f} |" for step in result["steps"]),
        "",
        f"{result['masks']} masks of {result['photos']} photos. What somebody reads and types until then, and what the "
        "shortest way through the documentation of other systems asks for (counted, not run):",
        "",
        f"| | {' | '.join(header)} |",
        f"|---|{'---|' * len(header)}",
    ]
    for name, one in counts().items():
        cells = [one[key] for key in ("commands", "files", "words", "characters", "read")]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {minutes_of(one):.1f} |")
    lines += ["", RULES, "", "| system | read | words |", "|---|---|---|"]
    for name, one in OTHERS.items():
        for part in one.passages:
            title = part.page.rpartition("/docs/")[2]
            lines.append(f"| {name} | [{title}](https://{part.page}): {part.part} | {part.words} |")
    return "\n".join([*lines, "", "Read on 30 November 2026 at the commits that the links name."]) + "\n"


RULES = f"""\
Minutes are of reading and typing, at an assumed {READING} words read and {TYPING} characters typed a minute; installing
and training go on without the user. `check` can be left out, because `train` examines the data as well: the README's
way without it has three commands, as those of the others, and no file. The rules:

- Read is README.md from its title to its last command, and the paragraph after it, which says how the photos have to
  lie. Of other systems only those passages count that have to be read to train on masks of class ids and to predict, so
  that their figures are lower bounds.
- A word is what stands between spaces and has a letter or a digit. Programs and comments on a page are read, too;
  pictures, addresses of links and marks are not. Where a page offers several ways, one is counted, the shortest.
- Typed are commands, and files that have to be written. What is needed to bring photos into the folders that the others
  expect (those for training apart from those for validation) is not counted; neither is a loop over several photos,
  which the program of LightlyTrain would need."""
"""How it was counted."""


if __name__ == "__main__":
    sys.exit(main())
