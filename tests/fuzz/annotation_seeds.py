"""Annotations that the miniatures of their formats do not contain: run lengths, brush strokes, masks, tables."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

from pixelwise.testing.miniatures import write_miniature

HEIGHT, WIDTH = 12, 16
INSIDE = np.zeros((HEIGHT, WIDTH), bool)
INSIDE[2:8, 3:10] = True


def picture(path: Path) -> None:
    """A picture that depends on its file's name: the same one in two splits would be an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(list(path.name.encode()))
    Image.fromarray(dice.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(path)


def document(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), "utf-8")


def runs(values: np.ndarray) -> list[int]:
    """Lengths of alternating runs of 0 and 1, beginning with 0."""
    lengths = [len(list(group)) for _, group in groupby(values.tolist())]
    return lengths if not values[0] else [0, *lengths]


def coco_runs(root: Path) -> None:
    images, annotations = [], []
    for number in range(4):
        split = "train" if number < 3 else "val"
        picture(root / split / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": HEIGHT, "width": WIDTH})
        outline = {"counts": runs(INSIDE.T.ravel()), "size": [HEIGHT, WIDTH]}
        annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": outline, "area": 42})
    for split, chosen in (("train", slice(0, 3)), ("val", slice(3, 4))):
        content = {"images": images[chosen], "annotations": annotations[chosen], "categories": [{"id": 1, "name": "a"}]}
        document(root / split / "_annotations.coco.json", content)


def labelme_shapes(root: Path) -> None:
    stored = io.BytesIO()
    Image.fromarray(INSIDE[2:8, 3:10]).save(stored, "PNG")
    mask = base64.b64encode(stored.getvalue()).decode("ascii")
    shapes = [
        {"label": "a", "points": [[1, 1], [9, 1], [5, 9]], "shape_type": "polygon", "group_id": None, "flags": {}},
        {"label": "b", "points": [[8, 6], [10, 6]], "shape_type": "circle"},
        {"label": "c", "points": [[3, 2], [9, 7]], "shape_type": "mask", "mask": mask},
        {"label": "d", "points": [[3, 2]], "shape_type": "point"},
    ]
    for number in range(4):
        path = root / ("train" if number < 3 else "val") / f"{number}.png"
        picture(path)
        content = {
            "version": "5.4.1",
            "shapes": shapes,
            "imagePath": path.name,
            "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
        }
        document(path.with_suffix(".json"), content)


def brush(mask: np.ndarray) -> list[int]:
    """The bytes of a brush stroke: a header, then one run of up to 65536 equal values after the other."""
    values = np.repeat((mask * 255).astype(np.uint8).ravel(), 4).tolist()
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in (4, 8, 12, 16))
    for value, group in groupby(values):
        bits += f"1{3:02b}{len(list(group)) - 1:016b}{value:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def label_studio_regions(root: Path) -> None:
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    corners, circle = [[10, 10], [60, 10], [30, 70]], {"x": 50, "y": 50, "radiusX": 20, "radiusY": 10, "rotation": 9}
    values = {
        "polygon": {"points": corners, "polygonlabels": ["a"]},
        "ellipse": {**circle, "ellipselabels": ["b"]},
        "brush": {"format": "rle", "rle": brush(INSIDE), "brushlabels": ["c"]},
        "keypoint": {"x": 1, "y": 1, "keypointlabels": ["d"]},
    }
    regions = [{"id": kind, "type": f"{kind}labels", **size, "value": value} for kind, value in values.items()]
    tasks = []
    for number in range(4):
        split = "train" if number < 3 else "val"
        picture(root / "images" / split / f"{number}.png")
        annotation = {"id": number, "result": regions, "was_cancelled": False}
        data = {"image": f"/data/upload/1/0a1b2c3d-{number}.png", "text": "http://[x"}
        tasks.append({"id": number, "data": data, "annotations": [annotation]})
    document(root / "project.json", tasks)


def cvat_shapes(root: Path) -> None:
    counts = ",".join(map(str, runs(INSIDE[2:8, 3:10].ravel())))
    shapes = (
        '<polygon label="a" points="1,1;9,1;5,9" z_order="1"/>'
        '<box label="a" xtl="1" ytl="1" xbr="4" ybr="5" rotation="9"/>'
        '<ellipse label="b" cx="8" cy="6" rx="2" ry="3"/><polyline label="b" points="1,1;2,2"/>'
        f'<mask label="b" rle="{counts}" left="3" top="2" width="7" height="6"/>'
    )
    names = [(f"{number}.png", "train" if number < 3 else "val") for number in range(4)]
    for name, _ in names:
        picture(root / "images" / name)
    images = "".join(
        f'<image id="0" name="{name}" subset="{split}" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
        for name, split in names
    )
    labels = "".join(f"<label><name>{name}</name></label>" for name in "ab")
    task = f"<meta><task><labels>{labels}</labels></task></meta>"
    text = f'<?xml version="1.0" encoding="utf-8"?><annotations>{task}{images}</annotations>'
    (root / "annotations.xml").write_text(text, "utf-8")


def label_studio_min(root: Path) -> None:
    corners = {"points": [[10, 10], [60, 10], [30, 70]], "polygonlabels": ["a"]}
    stroke = {"format": "rle", "rle": brush(INSIDE), "brushlabels": ["c"]}
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    tasks = []
    for number in range(4):
        split = "train" if number < 3 else "val"
        picture(root / "images" / split / f"{number}.png")
        regions = [corners | size, stroke | size]
        tasks.append({"id": number, "image": f"/data/upload/1/0a1b2c3d-{number}.png", "tag": regions, "annotator": 1,
                      "annotation_id": number})  # fmt: skip
    document(root / "project.json", tasks)


def labelme_embedded(root: Path) -> None:
    labelme_shapes(root)
    for path in root.rglob("*.json"):
        content = json.loads(path.read_text("utf-8"))
        content["imageData"] = base64.b64encode(path.with_suffix(".png").read_bytes()).decode("ascii")
        content["shapes"] += [
            {"label": "a", "points": [[1, 1], [5, 1], [5, 4], [1, 4]], "shape_type": "rectangle"},
            {"label": "b", "points": [[5, 1], [8, 4], [5, 7], [2, 4]], "shape_type": "rotation", "direction": 0.7},
        ]
        document(path, content)
        path.with_suffix(".png").unlink()


def supervisely_objects(root: Path) -> None:
    stored = io.BytesIO()
    Image.fromarray(INSIDE[2:8, 3:10]).save(stored, "PNG")
    data = base64.b64encode(zlib.compress(stored.getvalue())).decode("ascii")
    outline, hole = [[1, 1], [9, 1], [9, 9], [1, 9]], [[3, 3], [5, 3], [5, 5]]
    objects = [
        {"classTitle": "a", "geometryType": "polygon", "points": {"exterior": outline, "interior": [hole]}},
        {"classTitle": "b", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [3, 2]}},
        {"classTitle": "b", "geometryType": "point", "points": {"exterior": [[3, 2]], "interior": []}},
    ]
    for number in range(4):
        name = f"{number}.png"
        picture(root / "ds" / "img" / name)
        (root / "ds" / "ann").mkdir(exist_ok=True)
        tags = [{"name": "train" if number < 3 else "val"}]
        size = {"height": HEIGHT, "width": WIDTH}
        document(root / "ds" / "ann" / f"{name}.json", {"size": size, "tags": tags, "objects": objects})
    document(root / "meta.json", {"classes": [{"title": "b"}, {"title": "a"}], "tags": []})


def nnunet_regions(root: Path) -> None:
    for number in range(4):
        picture(root / "imagesTr" / f"{number}_0000.png")
        (root / "labelsTr").mkdir(exist_ok=True)
        Image.fromarray(INSIDE.astype(np.uint8) * 2).save(root / "labelsTr" / f"{number}.png")
    labels = {"background": 0, "whole": [1, 2], "core": [2]}
    document(root / "dataset.json", {"labels": labels, "regions_class_order": [1, 2]})
    document(root / "splits_final.json", [{"train": ["0", "1", "2"], "val": ["3"]}, {"train": ["3"], "val": ["0"]}])


def _pairs(root: Path, *, names: tuple[str, str]) -> list[tuple[str, str, str]]:
    rows = []
    for number in range(4):
        split = "train" if number < 3 else "val"
        image, mask = (name.format(split=split, number=number) for name in names)
        picture(root / image)
        (root / mask).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(INSIDE.astype(np.uint8)).save(root / mask)
        rows.append((image, mask, split))
    return rows


def table(root: Path) -> None:
    rows = _pairs(root, names=("cam/{number}.png", "out/{number}.png"))
    text = "image,mask,split\n" + "".join(f'"{image}",{mask},{split}\n' for image, mask, split in rows)
    (root / "dataset.csv").write_text(text, "utf-8")


def names_of_lists(root: Path) -> None:
    _pairs(root, names=("images/{number}.png", "masks/{number}.png"))
    (root / "train.txt").write_text("0\n1\n2\n", "utf-8")
    (root / "val.txt").write_text("3\n", "utf-8")


def classes_table(root: Path) -> None:
    _pairs(root, names=("{split}/{number}.png", "{split}/{number}_mask.png"))
    for split in ("train", "val"):
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, a\n", "utf-8")


def classes_list(root: Path) -> None:
    write_miniature("yolo", root, (2, 1))
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("car\nroad\ntree\n", "utf-8")


def description(root: Path) -> None:
    _pairs(root, names=("images/{split}/{number}.png", "masks/{split}/{number}.png"))
    lines = (
        'classes = ["background", "a"]',
        'palette = ["#000000", [255, 0, 9]]',
        "label_map = { 0 = 0, 1 = 1 }",
        "ignore = [255, 254]",
    )
    (root / "dataset.toml").write_text("\n".join(lines), "utf-8")


def matlab_mask(path: Path) -> None:
    """A mask of SBD."""
    truth = np.zeros((1, 1), [("Boundaries", object), ("Segmentation", object), ("CategoriesPresent", object)])
    truth[0, 0] = (np.zeros((2, 2)), INSIDE.astype(np.uint8) * 7, np.array([[7]], np.uint8))
    scipy.io.savemat(path, {"GTcls": truth}, do_compression=True)


SEEDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "coco-runs": ("coco", coco_runs),
    "labelme-shapes": ("labelme", labelme_shapes),
    "label-studio-regions": ("label-studio", label_studio_regions),
    "cvat-shapes": ("cvat", cvat_shapes),
    "label-studio-min": ("label-studio", label_studio_min),
    "labelme-embedded": ("labelme", labelme_embedded),
    "supervisely-objects": ("supervisely", supervisely_objects),
    "nnunet-regions": ("nnunet", nnunet_regions),
    "lists-table": ("lists", table),
    "lists-names": ("lists", names_of_lists),
    "classes-table": ("folder", classes_table),
    "classes-list": ("yolo", classes_list),
    "description": ("folder", description),
}
"""Name -> data format, and what writes the seed."""
