"""Trainings on few images, beside those of other systems: the data, the scores of their masks, and the table.

    python benchmarks/small_data.py divide --camvid CamVid --nuclei stage1_train --work runs/small-data
    pixelwise train runs/small-data/nuclei-30 --minutes 20 -o run
    pixelwise predict run runs/small-data/nuclei-test/images/test --no-overlay -o masks
    python benchmarks/small_data.py score nuclei-30 "Pixelwise, unet" masks --work runs/small-data --minutes 20
    python benchmarks/small_data.py table

Every system trains on the images of `train`, may use those of `val` to choose, and writes a mask of class ids for each
test image; all masks are scored here, as one confusion matrix over all pixels (`native`). Nothing was chosen on the
test images. Results go to `measurements/small_data.json`, the table to `small_data.md`.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from measuring import HERE, RESULTS, write_result
from PIL import Image

from pixelwise.metrics import confusion_matrix
from pixelwise.recipes.class_sets.tables import IGNORE

CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
NUCLEI = ("background", "nucleus")
TESTED = {
    "nuclei-30": "nuclei-test",
    "nuclei-100": "nuclei-test",
    "camvid-46": "camvid-test",
    "camvid-367": "camvid-test",
}
"""Data set -> where its test images are."""
NUCLEI_TESTED = 60
NOTES = """\
- *Pixelwise*: `pixelwise train DATA --minutes 20 --threads 1`. `unet` plans itself and begins with ImageNet weights
  of EfficientNet-Lite0; `unet-resnet18` begins with random ones. Settings of `unet` were chosen on parts of the
  training images.
- *segmentation_models_pytorch*: the loop of `examples/camvid_segmentation_multiclass.ipynb` (FPN, Dice loss, Adam
  at 2e-4, its augmentation, batches of 32 crops of 320x320), stopped by the clock. Its encoder is EfficientNet-
  Lite0 with the same ImageNet weights, because those of its ResNeXt-50 could not be fetched; images are divided by
  255 before they are normalised, which the notebook forgets.
- *Ultralytics*: `yolo semantic train` with its defaults (640x640, all augmentation) and `time=`, from random
  weights, because its own could not be fetched; with them it would be better. Without them, and with hundreds of
  images, a core gets through too few epochs in this time (24 of nuclei-100, 3 of camvid-367) for it to learn much.

One run each, with seed 0, pinned to a core of a shared machine. A second run had the other core, and other programs
took up to a fifth of both, more or less of it at different times. So the clock was kept but roughly by what plans its
length from its first steps: `unet` trained for 21.7, 23.2, 15.0 and 21.3 minutes (in the order of the columns),
`unet-resnet18` for 18.3, 19.3, 19.2 and 13.9. The loop of segmentation_models_pytorch took 19.3 to 19.7,
Ultralytics 20.1 to 21.6. The smallest distance from `unet` to the next is 3.7 points, on nuclei-30.
"""
Pair = tuple[str, Image.Image, np.ndarray]
"""Name, image, and uint8 mask of class ids."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The score of a training.

    Attributes:
        data: Name of the data set.
        system: What was trained.
        seed: Seed of the training.
        minutes: Minutes that it had.
        cores: Processor cores that it had.
        steps: Optimizer steps that it took; None if unknown.
        miou: Mean IoU over all classes, 0..1.
        per_class_iou: Class -> IoU, 0..1.
        images: Number of test images.
    """

    data: str
    system: str
    seed: int
    minutes: float
    cores: int
    steps: int | None = None
    miou: float
    per_class_iou: dict[str, float]
    images: int


def divide(camvid: Path, nuclei: Path, work: Path) -> None:
    """Write the data sets: folders with `images/SPLIT`, `masks/SPLIT` and a `dataset.toml`."""
    names = sorted(path.name for path in nuclei.iterdir() if path.is_dir())
    random.Random(0).shuffle(names)
    training = names[NUCLEI_TESTED:]
    for size in (30, 100):
        chosen = training[:size]
        write(work / f"nuclei-{size}", NUCLEI, {"val": chosen[::5], "train": others(chosen, chosen[::5])}, nuclei)
    write(work / "nuclei-test", NUCLEI, {"test": names[:NUCLEI_TESTED]}, nuclei)
    frames = {split: frames_of(camvid, split) for split in ("train", "val", "test")}
    few = frames["train"][::8]
    write(work / "camvid-46", CAMVID, {"val": few[2::5], "train": others(few, few[2::5])}, camvid)
    write(work / "camvid-367", CAMVID, {split: frames[split] for split in ("train", "val")}, camvid)
    write(work / "camvid-test", CAMVID, {"test": frames["test"]}, camvid)


def frames_of(camvid: Path, split: str) -> list[str]:
    """`split/name` of all frames of a split, in order."""
    return sorted(f"{split}/{path.stem}" for path in (camvid / "masks" / split).glob("*.png"))


def others(names: list[str], chosen: list[str]) -> list[str]:
    """The names that were not chosen."""
    return [name for name in names if name not in set(chosen)]


def write(folder: Path, classes: tuple[str, ...], splits: dict[str, list[str]], source: Path) -> None:
    """Write the pairs of a data set."""
    for split, names in splits.items():
        for name, image, mask in pairs(source, names, classes):
            for kind, picture in (("images", image), ("masks", Image.fromarray(mask))):
                path = folder / kind / split / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
    quoted = ", ".join(f'"{name}"' for name in classes)
    (folder / "dataset.toml").write_text(f"classes = [{quoted}]\nignore = {IGNORE}\n", "utf-8")


def pairs(source: Path, names: list[str], classes: tuple[str, ...]) -> Iterator[Pair]:
    """Images and masks of the Data Science Bowl (a mask per nucleus) or of CamVid (void is 11)."""
    for name in names:
        if classes is NUCLEI:
            image = Image.open(source / name / "images" / f"{name}.png").convert("RGB")
            mask = np.zeros((image.height, image.width), np.uint8)
            for path in (source / name / "masks").glob("*.png"):
                mask[np.asarray(Image.open(path).convert("L")) > 127] = 1
            yield name[:12], image, mask
        else:
            path = next((source / "images" / name).parent.glob(f"{Path(name).name}.*"))
            mask = np.array(Image.open(source / "masks" / f"{name}.png"), np.uint8)
            mask[mask == len(classes)] = IGNORE
            yield path.stem, Image.open(path).convert("RGB"), mask


def score(masks: Path, folder: Path, classes: tuple[str, ...]) -> tuple[float, dict[str, float], int]:
    """Mean IoU, IoU of each class and number of images.

    Args:
        masks: Folder of masks of class ids, named as the images.
        folder: Folder of the test images.
        classes: Names of the classes.

    Raises:
        SystemExit: A mask is missing or has another size.
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    labelled = sorted((folder / "masks" / "test").glob("*.png"))
    for path in labelled:
        expected, found = np.asarray(Image.open(path)), masks / path.name
        if not found.is_file():
            raise SystemExit(f"{found} is missing")
        predicted = np.asarray(Image.open(found))
        if predicted.shape != expected.shape:
            raise SystemExit(f"{found} is {predicted.shape}; expected {expected.shape}")
        counts += confusion_matrix(expected.copy(), predicted.copy(), len(classes)).numpy()
    hits = np.diag(counts)
    iou = hits / np.maximum(1, counts.sum(axis=0) + counts.sum(axis=1) - hits)
    return float(iou.mean()), dict(zip(classes, iou.tolist(), strict=True)), len(labelled)


def table(scores: list[Score]) -> str:
    """The page: mIoU of every system on every data set."""
    systems = list(dict.fromkeys(one.system for one in scores))
    budgets = sorted({f"{one.minutes:g} minutes on {one.cores} core{'s' * (one.cores > 1)}" for one in scores})
    lines = [
        "# Few images, little time",
        "",
        f"mIoU in % on the test images (60 of the nuclei, CamVid's 233) after {', '.join(budgets)}. All systems get "
        "the same images and the same time, and their masks are scored by the same code: `python "
        "benchmarks/small_data.py` says how.",
        "",
        f"| | {' | '.join(TESTED)} |",
        f"|---|{'---|' * len(TESTED)}",
    ]
    for system in systems:
        cells = []
        for data in TESTED:
            found = [100 * one.miou for one in scores if (one.system, one.data) == (system, data)]
            cells.append(" / ".join(f"{value:.1f}" for value in found) or "not run")
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", NOTES])


def main(arguments: list[str] | None = None) -> int:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    dividing = commands.add_parser("divide", help="write the data sets")
    dividing.add_argument("--camvid", type=Path, required=True, help="folder with images/SPLIT and masks/SPLIT")
    dividing.add_argument("--nuclei", type=Path, required=True, help="folder stage1_train")
    scoring = commands.add_parser("score", help="score masks")
    scoring.add_argument("data", choices=list(TESTED))
    scoring.add_argument("system", help="name in the table")
    scoring.add_argument("masks", type=Path, help="folder of masks of class ids")
    scoring.add_argument("--seed", type=int, default=0)
    scoring.add_argument("--minutes", type=float, required=True)
    scoring.add_argument("--cores", type=int, default=2)
    scoring.add_argument("--steps", type=int)
    commands.add_parser("table", help="write the table")
    for one in (dividing, scoring):
        one.add_argument("--work", type=Path, default=Path("runs/small-data"), help="folder of the data sets")
    options = parser.parse_args(arguments)
    if options.command == "divide":
        divide(options.camvid, options.nuclei, options.work)
        return 0
    path = RESULTS / "small_data.json"
    known = msgspec.json.decode(path.read_bytes())["scores"] if path.is_file() else []
    scores = msgspec.convert(known, list[Score])
    if options.command == "score":
        classes = NUCLEI if options.data.startswith("nuclei") else CAMVID
        miou, per_class, images = score(options.masks, options.work / TESTED[options.data], classes)
        new = Score(
            data=options.data, system=options.system, seed=options.seed, minutes=options.minutes, cores=options.cores,
            steps=options.steps, miou=miou, per_class_iou=per_class, images=images,
        )  # fmt: skip
        key = (new.data, new.system, new.seed)
        scores = [one for one in scores if (one.data, one.system, one.seed) != key] + [new]
        write_result("small_data", {"scores": msgspec.to_builtins(scores)})
    (HERE / "small_data.md").write_text(table(scores), "utf-8")
    print(table(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
