"""Folders with one deliberate mistake each, whose labels are known: what a check should say, and what its fix gives.

`MISTAKES` is the table. Another row needs a function that writes a folder and returns the labels that reading it
rightly gives.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from pixelwise.datasets.town.scenes import draw_scene

SIZE = (96, 128)
PAIRS = 12
VOID = 255
Truth = dict[str, np.ndarray]
"""Stem of a mask -> its right labels, uint8 (H, W), 255 = ignored."""


class Mistake(NamedTuple):
    """A folder with one mistake.

    Attributes:
        name: Name of the folder.
        write: Writes the folder and returns the right labels.
        code: Code of the finding that names the mistake.
        says: Words in its message.
        lost: Largest share of the labelled pixels that the fixed reading may ignore instead.
        fixed: Whether the fix holds settings; without, only the files can be mended.
        settings: Settings that the user has made before.
    """

    name: str
    write: Callable[[Path], Truth]
    code: str
    says: Sequence[str] = ()
    lost: float = 0.0
    fixed: bool = True
    settings: Sequence[str] = ()


@cache
def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Photo, and labels of three classes: 1 road and pavement, 2 vehicles, people and trees, 255 void."""
    photo, raw = draw_scene(0, index, SIZE)
    labels = np.select([raw == 11, np.isin(raw, [3, 4]), np.isin(raw, [5, 8, 9, 10])], [VOID, 1, 2], 0)
    return photo, labels.astype(np.uint8)


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def pairs(
    root: Path,
    mask: Callable[[np.ndarray, int], np.ndarray],
    *,
    truth: Callable[[np.ndarray], np.ndarray] = lambda labels: labels,
    ending: str = "png",
    number: int = PAIRS,
    split: Callable[[int], str] = lambda index: "",
    **options: Any,
) -> Truth:
    """Write photos, and masks made from the labels and the index; returns the right labels by stem."""
    found: Truth = {}
    for index in range(number):
        photo, labels = scene(index)
        name = f"{split(index)}p{index:02d}"
        save(root / "images" / f"{name}.jpg", photo, quality=92)
        save(root / "masks" / f"{name}.{ending}", mask(labels, index), **options)
        found[f"p{index:02d}"] = truth(labels)
    return found


def binary(labels: np.ndarray) -> np.ndarray:
    """Road or not."""
    return (labels == 1).astype(np.uint8)


def no_void(labels: np.ndarray) -> np.ndarray:
    return np.where(labels == VOID, 0, labels).astype(np.uint8)


def grey(step: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """Classes as grey levels, `step` apart; void is 255."""
    return lambda labels, index: np.where(labels == VOID, VOID, labels * step).astype(np.uint8)


def resized(method: Image.Resampling, mask: Callable[[np.ndarray, int], np.ndarray]):
    """The mask enlarged and reduced again, or only reduced and enlarged, with interpolation."""

    def change(labels: np.ndarray, index: int) -> np.ndarray:
        picture = Image.fromarray(mask(labels, index))
        double = (2 * SIZE[1], 2 * SIZE[0])
        return np.asarray(picture.resize(double, method).resize((SIZE[1], SIZE[0]), method))

    return change


COLORS = np.zeros((256, 3), np.uint8)
COLORS[:3] = (0, 0, 0), (128, 64, 128), (230, 30, 60)


def colored(labels: np.ndarray, index: int) -> np.ndarray:
    return COLORS[no_void(labels)]


def by_code(labels: np.ndarray) -> np.ndarray:
    """Class ids that follow the codes of `COLORS`, which ascend."""
    return no_void(labels)


def salted(labels: np.ndarray, index: int) -> np.ndarray:
    rng = np.random.default_rng(index)
    mask = colored(labels, index).copy()
    where = rng.random(labels.shape) < 0.01
    mask[where] = rng.integers(0, 256, (int(where.sum()), 3))
    return mask


def trembling(labels: np.ndarray, index: int) -> np.ndarray:
    rng = np.random.default_rng(index)
    return np.clip(colored(labels, index) + rng.integers(-3, 4, (*labels.shape, 3)), 0, 255).astype(np.uint8)


def with_stray(labels: np.ndarray, index: int, value: int) -> np.ndarray:
    mask = labels.copy()
    if index == 4:
        mask[10:13, 10:13] = value
    return mask


def stray_truth(root: Path, value: int) -> Truth:
    found = pairs(root, lambda labels, index: with_stray(labels, index, value))
    found["p04"] = with_stray(found["p04"], 4, VOID)
    return found


def stray_color(root: Path) -> Truth:
    def mask(labels: np.ndarray, index: int) -> np.ndarray:
        result = colored(labels, index).copy()
        if index == 4:
            result[10:13, 10:13] = (7, 200, 9)
        return result

    found = pairs(root, mask, truth=no_void)
    found["p04"] = with_stray(found["p04"], 4, VOID)
    return found


def lists_elsewhere(root: Path) -> Truth:
    found = pairs(root, lambda labels, index: labels)
    (root / "meta").mkdir()
    for split, names in (("train", sorted(found)[:8]), ("val", sorted(found)[8:])):
        (root / "meta" / f"{split}.txt").write_text("\n".join(names))
    return found


def turned(root: Path) -> Truth:
    return pairs(root, lambda labels, index: np.rot90(labels) if index < 4 else labels)


def smaller(root: Path) -> Truth:
    return pairs(
        root, lambda labels, index: labels[::2, ::2], truth=lambda labels: labels[::2, ::2].repeat(2, 0).repeat(2, 1)
    )


def swapped(root: Path) -> Truth:
    found = pairs(root, lambda labels, index: labels)
    (root / "images").rename(root / "photos")
    (root / "masks").rename(root / "images")
    (root / "photos").rename(root / "masks")
    return found


def palette_and_colors(root: Path) -> Truth:
    found = pairs(root, lambda labels, index: COLORS[no_void(labels)], truth=no_void)
    for index in range(0, PAIRS, 2):
        picture = Image.fromarray(no_void(scene(index)[1]))
        picture.putpalette(COLORS[:3].tobytes())
        picture.save(root / "masks" / f"p{index:02d}.png")
    return found


def renumbered(root: Path) -> Truth:
    found = pairs(root, lambda labels, index: labels, truth=no_void)
    for index in range(PAIRS):
        order = [0, 1, 2] if index % 2 else [2, 0, 1]  # class -> id in this file
        ids = np.array(order, np.uint8)[no_void(scene(index)[1])]
        picture = Image.fromarray(ids)
        palette = np.zeros((3, 3), np.uint8)
        palette[order] = COLORS[:3]
        picture.putpalette(palette.tobytes())
        picture.save(root / "masks" / f"p{index:02d}.png")
    return found


def from_one(root: Path) -> Truth:
    return pairs(
        root,
        lambda labels, index: np.where(labels == VOID, VOID, labels + index % 2).astype(np.uint8),
    )


def cells(labels: np.ndarray, index: int) -> np.ndarray:
    """A hundred ids without gaps, as instances have."""
    rows, columns = (np.arange(size) * 10 // size for size in labels.shape)
    return (rows[:, None] * 10 + columns).astype(np.uint8)


def missing(root: Path) -> Truth:
    found = pairs(root, lambda labels, index: labels)
    (root / "masks" / "p05.png").unlink()
    del found["p05"]
    return found


def sideways(root: Path) -> Truth:
    """Photos of a phone, stored sideways with an orientation, and masks drawn on them as they are stored."""
    found = pairs(root, lambda labels, index: labels)
    for index in range(PAIRS):
        exif = Image.Exif()
        exif[0x0112] = 6
        save(root / "images" / f"p{index:02d}.jpg", scene(index)[0], exif=exif)
    return found


def upright(root: Path) -> Truth:
    """The same photos, and masks drawn on them as they are shown; read as stored."""
    found = sideways(root)
    for name, labels in found.items():
        save(root / "masks" / f"{name}.png", np.rot90(labels, -1))
    return {name: np.rot90(labels, -1) for name, labels in found.items()}


def deep(step: int) -> Callable[[Path], Truth]:
    """Grey images of 16 bits, whose values are multiples of `step` up to 255 times as large."""

    def write(root: Path) -> Truth:
        found = pairs(root, lambda labels, index: labels)
        for index in range(PAIRS):
            (root / "images" / f"p{index:02d}.jpg").unlink()
            save(root / "images" / f"p{index:02d}.png", scene(index)[0][..., 1].astype(np.uint16) * step)
        return found

    return write


def bands(root: Path) -> Truth:
    """TIFF files of five bands."""
    found = pairs(root, lambda labels, index: labels)
    for index in range(PAIRS):
        (root / "images" / f"p{index:02d}.jpg").unlink()
        photo = scene(index)[0]
        tifffile.imwrite(root / "images" / f"p{index:02d}.tif", np.concatenate([photo, photo[..., :2]], -1))
    return found


def unnamed_label(root: Path) -> Truth:
    """LabelMe outlines, one label of which has no name among the classes."""
    truth: Truth = {}
    for index in range(PAIRS):
        save(root / f"p{index:02d}.jpg", scene(index)[0])
        boxes = {"road": (0, 60, 128, 96), "dirt": (10, 10, 30, 30)}
        shapes = [
            {"label": label, "points": [[left, top], [right, bottom]], "shape_type": "rectangle"}
            for label, (left, top, right, bottom) in boxes.items()
        ]
        described = {"imagePath": f"p{index:02d}.jpg", "imageHeight": 96, "imageWidth": 128, "shapes": shapes}
        (root / f"p{index:02d}.json").write_text(json.dumps(described), "utf-8", newline="")
        labels = np.zeros(SIZE, np.uint8)
        labels[60:] = 1
        labels[10:30, 10:30] = VOID
        truth[f"p{index:02d}"] = labels
    return truth


def twice(root: Path) -> Truth:
    """One photo in two splits."""
    found = pairs(root, lambda labels, index: labels, split=lambda index: "train/" if index < 9 else "val/")
    for kind, ending in (("images", "jpg"), ("masks", "png")):
        shutil.copy(root / kind / "train" / f"p00.{ending}", root / kind / "val" / f"q00.{ending}")
    return {**found, "q00": found["p00"]}


def cut_out(labels: np.ndarray, index: int) -> np.ndarray:
    """A black shape, which only the alpha channel shows."""
    return np.dstack([np.zeros((*labels.shape, 3), np.uint8), 255 * binary(labels)])


def see_through(labels: np.ndarray, index: int) -> np.ndarray:
    """A red shape on black, which is transparent, too."""
    red = binary(labels)[..., None] * np.array([255, 0, 0, 255], np.uint8)
    return red.astype(np.uint8)


def truncated(root: Path) -> Truth:
    found = pairs(root, lambda labels, index: labels)
    photo = root / "images" / "p03.jpg"
    photo.write_bytes(photo.read_bytes()[:900])
    return found


MISTAKES = (
    Mistake(
        "mask-as-jpeg",
        lambda root: pairs(root, grey(80), ending="jpg", quality=85),
        "D203",
        ["JPEG", "0, 80, 160"],
        0.12,
    ),
    Mistake(
        "color-mask-as-jpeg",
        lambda root: pairs(root, colored, truth=by_code, ending="jpg", quality=85),
        "D203",
        ["JPEG"],
        0.25,
    ),
    Mistake(
        "bicubic",
        lambda root: pairs(root, resized(Image.Resampling.BICUBIC, grey(80))),
        "D260",
        ["0, 80, 160", "interpolation"],
        0.12,
    ),
    Mistake(
        "bilinear-named-classes",
        lambda root: pairs(root, resized(Image.Resampling.BILINEAR, grey(100))),
        "D260",
        ["0, 100, 200", "interpolation"],
        0.15,
        settings=['data.classes=["a","b","c"]'],
    ),
    Mistake(
        "bilinear-mapped",
        lambda root: pairs(root, resized(Image.Resampling.BILINEAR, grey(100))),
        "D260",
        ["0, 100, 200"],
        0.15,
        settings=["data.label_map={0 = 0, 100 = 1, 200 = 2, 255 = 255}"],
    ),
    Mistake(
        "bilinear-scale",
        lambda root: pairs(
            root, resized(Image.Resampling.BILINEAR, lambda labels, index: no_void(labels) * 127), truth=no_void
        ),
        "D260",
        ["0, 127, 254"],
        0.15,
    ),
    Mistake(
        "bilinear-colours",
        lambda root: pairs(root, resized(Image.Resampling.BILINEAR, colored), truth=by_code),
        "D260",
        ["#000000, #804080, #e61e3c"],
        0.15,
    ),
    Mistake("salted-colours", lambda root: pairs(root, salted, truth=by_code), "D260", ["#804080"], 0.03),
    Mistake("trembling-colours", lambda root: pairs(root, trembling, truth=by_code), "D260", [], 0.05),
    Mistake(
        "bilinear-without-gaps",
        lambda root: pairs(
            root, resized(Image.Resampling.BILINEAR, lambda labels, index: (no_void(labels) * 2 + 1).astype(np.uint8))
        ),
        "D260",
        ["interpolation"],
        fixed=False,
    ),
    Mistake("stray-value", lambda root: stray_truth(root, 37), "D204", ["37 (9 px in masks/p04.png)"]),
    Mistake("stray-value-next-id", lambda root: stray_truth(root, 3), "W263", ["3 (9 px in masks/p04.png)"]),
    Mistake("stray-colour", stray_color, "D204", ["#07c809 (9 px in masks/p04.png)"]),
    Mistake("gaps", lambda root: pairs(root, grey(7)), "D204", ["0, 7, 14"]),
    Mistake(
        "grey-levels",
        lambda root: pairs(
            root, lambda labels, index: np.array([0, 128, 255], np.uint8)[no_void(labels)], truth=no_void
        ),
        "D204",
        ["128"],
    ),
    Mistake(
        "from-one",
        lambda root: pairs(root, lambda labels, index: no_void(labels) + np.uint8(1), truth=no_void),
        "D204",
        ["1..3"],
    ),
    Mistake(
        "from-one-named",
        lambda root: pairs(root, lambda labels, index: no_void(labels) + np.uint8(1), truth=no_void),
        "D202",
        ["3 ("],
        settings=['data.classes=["a","b","c"]'],
    ),
    Mistake("lists-elsewhere", lists_elsewhere, "W228", ["meta/train.txt", "meta/val.txt"]),
    Mistake("turned", turned, "D110", ["turned by 90 degrees", "masks/p00.png"], fixed=False),
    Mistake("smaller", smaller, "D201", ["reduced to 1/2"]),
    Mistake(
        "empty",
        lambda root: pairs(root, lambda labels, index: labels * 0, truth=lambda labels: labels * 0),
        "D263",
        ["class_0"],
        fixed=False,
    ),
    Mistake(
        "one-class-in-train",
        lambda root: pairs(
            root,
            lambda labels, index: labels * np.uint8(index >= 8),
            split=lambda index: "train/" if index < 8 else "val/",
        ),
        "D263",
        ["train"],
        fixed=False,
    ),
    Mistake("swapped", swapped, "D262", ["swapped"], fixed=False),
    Mistake(
        "two-whites",
        lambda root: pairs(
            root, lambda labels, index: binary(labels) * np.uint8(255 if index % 2 else 1), truth=binary
        ),
        "D261",
        ["0 and 1", "0 and 255"],
    ),
    Mistake(
        "two-whites-by-split",
        lambda root: pairs(
            root,
            lambda labels, index: binary(labels) * np.uint8(255 if index < 8 else 1),
            truth=binary,
            split=lambda index: "train/" if index < 8 else "val/",
        ),
        "D261",
        ["train: ", "val: "],
        settings=['data.classes=["background","road"]'],
    ),
    Mistake(
        "two-scales",
        lambda root: pairs(
            root, lambda labels, index: no_void(labels) * np.uint8(127 if index % 2 else 1), truth=no_void
        ),
        "D261",
        ["0, 127, 254"],
    ),
    Mistake("ids-shifted", from_one, "D261", ["0..2", "1..3"], fixed=False),
    Mistake("palette-and-colours", palette_and_colors, "D261", ["#804080"]),
    Mistake("renumbered-palettes", renumbered, "D261", ["palette"]),
    Mistake(
        "black-and-white",
        lambda root: pairs(root, lambda labels, index: binary(labels) * np.uint8(255), truth=binary),
        "W217",
    ),
    Mistake(
        "black-and-white-named",
        lambda root: pairs(root, lambda labels, index: binary(labels) * np.uint8(255), truth=binary),
        "D206",
        settings=['data.classes=["background","road"]'],
    ),
    Mistake(
        "grey-edges",
        lambda root: pairs(
            root,
            resized(Image.Resampling.BILINEAR, lambda labels, index: binary(labels) * np.uint8(255)),
            truth=binary,
        ),
        "D204",
        ["grey edges"],
        0.001,
    ),
    Mistake("plain-colours", lambda root: pairs(root, colored, truth=by_code), "W218", ["#804080"]),
    Mistake(
        "colours-of-named-classes",
        lambda root: pairs(root, colored, truth=by_code),
        "D205",
        [],
        settings=['data.classes=["a","b","c"]'],
    ),
    Mistake(
        "instances",
        lambda root: pairs(root, cells, truth=lambda labels: cells(labels, 0)),
        "D264",
        ["100 different ids"],
        fixed=False,
    ),
    Mistake("cut-out", lambda root: pairs(root, cut_out, truth=binary), "D140", ["alpha channel", "same colour"]),
    Mistake("see-through", lambda root: pairs(root, see_through, truth=binary), "W140", ["12 masks"]),
    Mistake(
        "without-alpha",
        lambda root: pairs(root, lambda labels, index: binary(labels) * np.uint8(255), truth=binary),
        "D141",
        ["no alpha channel"],
        fixed=False,
        settings=["data.mask_channel=alpha", "data.mask_threshold=128"],
    ),
    Mistake("missing", missing, "D220", ["1 of 12 images has no mask", "p05.jpg"]),
    Mistake("sideways", sideways, "D110", ["EXIF orientation 6", "upright"]),
    Mistake("upright", upright, "D110", ["EXIF orientation 6"], settings=["data.exif=ignore"]),
    Mistake("deep", deep(200), "D104", ["8 bits per channel"]),
    Mistake("dim", deep(10), "W142", ["255 steps"], settings=["data.input_range=[0,65535]"]),
    Mistake("bands", bands, "D105", ["5"]),
    Mistake("large", lambda root: pairs(root, lambda labels, index: labels), "D120", settings=["data.max_pixels=9000"]),
    Mistake("unnamed-label", unnamed_label, "D207", ["dirt"], settings=['data.classes=["background","road"]']),
    Mistake("photo-twice", twice, "D133", ["train and val"], fixed=False),
    Mistake("truncated", truncated, "D101", ["p03.jpg"], fixed=False),
)
