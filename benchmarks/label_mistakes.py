"""How many known label mistakes `pixelwise crossval` ranks first: the town with mistakes of three kinds drawn into it.

    python benchmarks/label_mistakes.py [--images 120] [--wrong 18] [--folds 3] [--epochs 25] [--seeds 7 1] [--work DIR]

The synthetic town has exact labels. In some of its images one mistake is made, of each kind in equal numbers: an object
gets another class (`class`), an object is missing, its pixels labelled as what surrounds it (`missing`), or the whole
mask is shifted (`shifted`). A region of the ranking shows a mistake if most of its pixels are among those that were
changed. Of N mistakes, those are counted that a region among the first N and the first 2 N shows, and as many as a
random order of the same regions would show there on average. Runs go to --work; stopped ones are continued. Rows
of other recipes and seeds stay in measurements/label_mistakes.json and label_mistakes.md.
"""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
from measuring import HERE, RESULTS, write_result
from PIL import Image

import pixelwise
from pixelwise.observer import Observer
from pixelwise.records.folds.cross_validation import MISTAKES, is_cross_validation
from pixelwise.records.folds.mistakes import LIST, LabelMistake
from pixelwise.records.folds.summary import Summary
from pixelwise.storage import write_text

KINDS = ("class", "missing", "shifted")
OBJECTS = ("pole", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist", "building")
"""Classes whose regions are objects that somebody can take for something else or overlook."""
LEAST = 120
"""Pixels of an object that gets a mistake: smaller ones are not visible at this size."""
SHIFT = (5, 9)
"""Rows and columns by which a mask is shifted."""
SIZE = (96, 128)


class Mistake(NamedTuple):
    """A mistake that was made.

    Attributes:
        image: Id of the image.
        kind: One of `KINDS`.
        changed: bool (H, W), the pixels whose label is another than before.
    """

    image: str
    kind: str
    changed: np.ndarray


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the ranking of a data set shows.

    Attributes:
        recipe: Name of the recipe.
        command: Words of the command line that repeat it.
        seed: Seed of the town, of its mistakes and of the training.
        mistakes: Number of mistakes, N.
        regions: Number of regions that were ranked.
        miou: Joint mean IoU against the labels with the mistakes, 0..1.
        first: Number of mistakes that the first N regions show.
        first_two: Number that the first 2 N show.
        by_kind: Kind -> number of mistakes, and how many of them the first 2 N show.
        right: Number of the first N regions that show a mistake.
        random: Number of mistakes that N regions show on average if the same regions are drawn at random.
        random_two: The same of 2 N.
        in_any: Number of mistakes that any region shows.
    """

    recipe: str
    command: str
    seed: int
    mistakes: int
    regions: int
    miou: float
    first: int
    first_two: int
    by_kind: dict[str, tuple[int, int]]
    right: int
    random: float
    random_two: float
    in_any: int


def make_mistakes(folder: Path, number: int, seed: int, classes: Sequence[str]) -> list[Mistake]:
    """Change the masks of some images of a drawn town.

    Args:
        folder: Folder of the town; its masks are changed.
        number: Number of images that get one mistake each.
        seed: Seed of the choice.
        classes: Names of the classes, by id.
    """
    random = np.random.default_rng(seed)
    masks = sorted((folder / "masks").rglob("*.png"))
    made: list[Mistake] = []
    for path in (masks[place] for place in random.permutation(len(masks))):
        if len(made) == number:
            break
        kind = KINDS[len(made) % len(KINDS)]
        picture = Image.open(path)
        labels = np.array(picture)
        wrong = _shifted(labels) if kind == "shifted" else _with_wrong_object(labels, kind, random, classes)
        if wrong is None:
            continue
        new = Image.fromarray(wrong, picture.mode)
        if picture.mode == "P":
            new.putpalette(picture.getpalette() or [])
        new.save(path)
        made.append(Mistake(path.relative_to(folder / "masks").with_suffix("").as_posix(), kind, wrong != labels))
    return made


def _shifted(labels: np.ndarray) -> np.ndarray:
    padded = np.pad(labels, ((SHIFT[0], 0), (SHIFT[1], 0)), mode="edge")
    return np.ascontiguousarray(padded[: labels.shape[0], : labels.shape[1]])


def _with_wrong_object(
    labels: np.ndarray, kind: str, random: np.random.Generator, classes: Sequence[str]
) -> np.ndarray | None:
    """The labels with one object as another class or as its surroundings; None if they hold no object to change."""
    objects = []
    for name in OBJECTS:
        mask = (labels == classes.index(name)).astype(np.uint8)
        _, ids, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for one in np.flatnonzero(boxes[1:, cv2.CC_STAT_AREA] >= LEAST) + 1:
            if boxes[one, cv2.CC_STAT_AREA] < labels.size / 4:
                objects.append(ids == one)
    if not objects:
        return None
    inside = objects[random.integers(len(objects))]
    own = int(labels[inside][0])
    if kind == "class":
        others = [classes.index(name) for name in OBJECTS if classes.index(name) != own]
        new = others[random.integers(len(others))]
    else:
        rim = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~inside
        around = labels[rim]
        around = around[(around != own) & (around < len(classes))]
        if not around.size:
            return None
        new = int(np.bincount(around).argmax())
    return np.where(inside, np.uint8(new), labels)


def shown_by(regions: Sequence[LabelMistake], made: Sequence[Mistake], folder: Path, out: Path) -> list[int | None]:
    """For each region of the ranking, the place of the mistake that it shows; None if it shows none."""
    of_image = {
        one.image.rpartition("/")[2] + "/" + one.image.partition("/")[0]: place for place, one in enumerate(made)
    }
    names = {}
    for receipt in sorted((out / "out-of-fold").glob("fold-*.json")):
        names |= msgspec.json.decode(receipt.read_bytes())["names"]
    found: list[int | None] = []
    for region in regions:
        path = Path(region.mask_file).resolve().relative_to((folder / "masks").resolve())
        place = of_image.get(f"{path.stem}/{path.parts[0]}")
        if place is None:
            found.append(None)
            continue
        box = np.s_[region.y : region.y + region.height, region.x : region.x + region.width]
        labels = np.array(Image.open(region.mask_file))
        predicted = np.array(Image.open(out / "out-of-fold" / "masks" / f"{names[region.image]}.png"))
        differs = (labels != predicted)[box]
        changed = made[place].changed[box]
        share = (differs & changed).sum() / max(1, differs.sum())
        found.append(place if share > 0.5 else None)
    return found


def expected_at_random(shown: Sequence[int | None], drawn: int) -> float:
    """How many mistakes are shown on average by regions drawn without replacement.

    Args:
        shown: For each region the mistake that it shows, or None.
        drawn: Number of regions that are drawn.
    """
    total, drawn = len(shown), min(drawn, len(shown))
    counts: dict[int, int] = {}
    for place in shown:
        if place is not None:
            counts[place] = counts.get(place, 0) + 1
    all_ways = math.comb(total, drawn)
    return sum(1 - math.comb(total - count, drawn) / all_ways for count in counts.values())


def measure(seed: int, arguments: argparse.Namespace, observer: Observer) -> Found:
    """Draw a town with mistakes, cross-validate, and count."""
    place = arguments.work / f"seed-{seed}"
    data, out = place / "town", place / "out"
    images = f"data.town_images=[{arguments.images},1,1]"
    if not data.exists():
        pixelwise.draw_town(data, [images, f"data.town_size={list(SIZE)}", f"data.town_seed={seed}"])
        classes = pixelwise.open_dataset(pixelwise.recipe("unet").data, data).classes
        made = make_mistakes(data, arguments.wrong, seed, classes)
        np.savez_compressed(
            place / "made.npz",
            images=[one.image for one in made],
            kinds=[one.kind for one in made],
            changed=np.stack([one.changed for one in made]),
        )
    stored = np.load(place / "made.npz")
    made = [
        Mistake(*one)
        for one in zip(stored["images"].tolist(), stored["kinds"].tolist(), stored["changed"], strict=True)
    ]
    if is_cross_validation(out):
        summary = pixelwise.resume(out, observer=observer)
        if not isinstance(summary, Summary):
            raise TypeError(f"{out} is no cross-validation")
    else:
        options = [
            "augment.crop=[96,128]",
            f"schedule.epochs={arguments.epochs}",
            "sampling.batch_size=8",
            *arguments.settings,
        ]
        summary = pixelwise.crossval(
            arguments.recipe,
            data,
            out,
            folds=arguments.folds,
            seed=seed,
            overrides=options,
            device="cpu",
            observer=observer,
        )
    regions = msgspec.json.decode((out / MISTAKES / LIST).read_bytes(), type=list[LabelMistake])
    shown = shown_by(regions, made, data, out)
    number = len(made)
    first, two = ({place for place in shown[:limit] if place is not None} for limit in (number, 2 * number))
    kinds = {kind: [place for place, one in enumerate(made) if one.kind == kind] for kind in KINDS}
    return Found(
        recipe=arguments.recipe,
        command=_command(arguments, seed),
        seed=seed,
        mistakes=number,
        regions=len(regions),
        miou=summary.scores[0].miou or math.nan,
        first=len(first),
        first_two=len(two),
        by_kind={kind: (len(places), len(two.intersection(places))) for kind, places in kinds.items()},
        right=sum(place is not None for place in shown[:number]),
        random=expected_at_random(shown, number),
        random_two=expected_at_random(shown, 2 * number),
        in_any=len({place for place in shown if place is not None}),
    )


def page(found: Sequence[Found]) -> str:
    """The result as Markdown."""
    lines = [
        "# Known label mistakes in the ranking of a cross-validation",
        "",
        f"The town in images of {SIZE[1]}x{SIZE[0]} with exact labels, in some of which one mistake was made: an "
        f"object with another class, a missing object, a mask shifted by {SHIFT[1]} pixels to the right "
        f"and {SHIFT[0]} down.",
        "",
        "N is the number of mistakes. A region shows a mistake if most of its pixels were changed. *At random*: the "
        "average for the same regions in a random order. How regions are ranked was chosen among twelve ways with "
        "town-demo and seed 7; other rows had no part in it, but those of seed 7 are of the same town with the same "
        "mistakes.",
        "",
        "| recipe, seed | mistakes | ranked regions | joint mIoU % | in the first N | at random | in the first 2 N "
        "| at random | in any region | of the first N regions, right | another class | missing | shifted |",
        "|" + "---|" * 13,
    ]
    for one in found:
        kinds = " | ".join(f"{hit} of {number}" for number, hit in one.by_kind.values())
        lines.append(
            f"| {one.recipe}, {one.seed} | {one.mistakes} | {one.regions} | {100 * one.miou:.2f} | {one.first} | "
            f"{one.random:.1f} | {one.first_two} | {one.random_two:.1f} | {one.in_any} | {one.right} | {kinds} |"
        )
    lines += ["", "The last three columns count the mistakes of each kind in the first 2 N regions.", ""]
    lines += [line for one in found for line in (f"    python benchmarks/label_mistakes.py {one.command}",)]
    return "\n".join([*lines, ""])


def _command(arguments: argparse.Namespace, seed: int) -> str:
    """The words of the command line that repeat the result of a seed."""
    words = ["--seeds", str(seed)]
    for name, value in vars(arguments).items():
        if name not in ("work", "seeds") and value != []:
            words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words)


class _Stored(msgspec.Struct):
    found: list[Found] = []


def main() -> None:
    """Measure every seed and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--wrong", type=int, default=18)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 1])
    parser.add_argument("--recipe", default="town-demo")
    parser.add_argument("--settings", nargs="*", default=["data.dataset=folder"])
    parser.add_argument("--work", type=Path, default=Path("label-mistakes"))
    arguments = parser.parse_args()
    found = [measure(seed, arguments, Observer()) for seed in arguments.seeds]
    path = RESULTS / "label_mistakes.json"
    known = msgspec.json.decode(path.read_bytes(), type=_Stored).found if path.is_file() else []
    new = {(one.recipe, one.seed) for one in found}
    every = [*(one for one in known if (one.recipe, one.seed) not in new), *found]
    write_result("label_mistakes", {"found": every})
    write_text(HERE / "label_mistakes.md", page(every))


if __name__ == "__main__":
    main()
