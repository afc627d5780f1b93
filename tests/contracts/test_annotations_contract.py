"""Which image an annotation belongs to, and what is said about the rest: every format of annotations, by hand."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache folder of this test alone, outside the data."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


SIZE = (8, 10)
Box = tuple[int, int, int, int]
# (written path of the image, its objects)
Listed = tuple[str, Sequence[tuple[str, Box]]]
CRACK: tuple[str, Box] = ("crack", (0, 0, 4, 3))  # 12 pixels
RUST: tuple[str, Box] = ("rust", (5, 2, 10, 6))  # 20 pixels


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), len(str(path)) % 200, np.uint8)).save(path)


def text(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def coco(root: Path, listed: Sequence[Listed], file: str = "all") -> None:
    names = sorted({label for _, objects in listed for label, _ in objects})
    annotations = [
        {"image_id": number, "category_id": names.index(label), "segmentation": [[x, y, u, y, u, v, x, v]]}
        for number, (_, objects) in enumerate(listed)
        for label, (x, y, u, v) in objects
    ]
    images = [{"id": i, "file_name": name, "height": 8, "width": 10} for i, (name, _) in enumerate(listed)]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    text(root / "annotations" / f"{file}.json", content)


def cvat(root: Path, listed: Sequence[Listed], file: str = "all") -> None:
    shape = '<box label="{}" xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>'
    images = "".join(
        f'<image name="{name}" width="10" height="8">'
        + "".join(shape.format(label, *box) for label, box in objects)
        + "</image>"
        for name, objects in listed
    )
    text(root / f"{file}.xml", f"<annotations>{images}</annotations>")


def label_studio(root: Path, listed: Sequence[Listed], file: str = "all") -> None:
    tasks = [
        {
            "id": number,
            "data": {"image": f"/data/local-files/?d={name}"},
            "annotations": [
                {
                    "id": number,
                    "result": [
                        {
                            "id": str(index),
                            "type": "rectanglelabels",
                            "original_width": 10,
                            "original_height": 8,
                            "value": {
                                "x": 10 * x,
                                "y": 12.5 * y,
                                "width": 10 * (u - x),
                                "height": 12.5 * (v - y),
                                "rectanglelabels": [label],
                            },
                        }
                        for index, (label, (x, y, u, v)) in enumerate(objects)
                    ],
                }
            ],
        }
        for number, (name, objects) in enumerate(listed)
    ]
    text(root / f"{file}.json", tasks)


def labelme(root: Path, listed: Sequence[Listed], file: str = "all") -> None:
    for number, (name, objects) in enumerate(listed):
        shapes = [{"label": k, "points": [b[:2], b[2:]], "shape_type": "rectangle"} for k, b in objects]
        content = {
            "shapes": shapes,
            "imagePath": name if name[0] == "/" or ":" in name else f"..\\{name}",
            "imageHeight": 8,
            "imageWidth": 10,
        }
        text(root / "notes" / f"{file}{number}.json", content)


FORMATS: dict[str, Callable[..., None]] = {
    "coco": coco,
    "cvat": cvat,
    "label-studio": label_studio,
    "labelme": labelme,
}


def labels(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Path of an image below the root -> pixels of every class that it has, background aside."""
    found: dict[str, dict[str, int]] = {}
    for sample in (sample for samples in dataset.splits.values() for sample in samples):
        ids, counts = np.unique(read_pair(sample, dataset)[1], return_counts=True)
        key = sample.image_path.relative_to(dataset.root).as_posix()
        assert key not in found
        found[key] = {dataset.classes[i]: n for i, n in zip(ids, counts.tolist(), strict=True) if i}
    return found


def errors(dataset: Dataset) -> str:
    return "\n".join(f"{one.code} {one.message}" for one in dataset.problems)


every_format = pytest.mark.parametrize("name", FORMATS)


@every_format
@pytest.mark.parametrize("prefix", ["", "./", "/home/me/proj/", "C:\\proj\\"])
def test_images_of_the_same_name_are_told_apart_by_their_folders(name: str, prefix: str, tmp_path: Path):
    for folder in ("train", "val"):
        image(tmp_path / "images" / folder / "1.png")
    listed = [(f"{prefix}images/train/1.png", [CRACK]), (f"{prefix}images/val/1.png", [RUST])]
    FORMATS[name](tmp_path, listed)
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.name, errors(dataset)) == (name, "")
    assert labels(dataset) == {"images/train/1.png": {"crack": 12}, "images/val/1.png": {"rust": 20}}


@every_format
def test_an_image_that_is_listed_twice_has_all_of_its_objects(name: str, tmp_path: Path):
    for number in range(2):
        image(tmp_path / "images" / f"{number}.png")
    path = "images/0.png"
    FORMATS[name](tmp_path, [(path, [CRACK]), ("images/1.png", [RUST]), (path, [RUST, CRACK])])
    dataset = open_dataset(Data(), tmp_path)
    assert errors(dataset) == ""
    assert labels(dataset) == {path: {"crack": 12, "rust": 20}, "images/1.png": {"rust": 20}}


@every_format
def test_a_file_per_class_gives_one_mask_per_image(name: str, tmp_path: Path):
    for number in range(2):
        image(tmp_path / "images" / f"{number}.png")
    for one in (CRACK, RUST):
        FORMATS[name](tmp_path, [(f"images/{number}.png", [one]) for number in range(2)], one[0])
    dataset = open_dataset(Data(), tmp_path)
    assert (errors(dataset), set(dataset.classes)) == ("", {"background", "crack", "rust"})
    assert labels(dataset) == {f"images/{number}.png": {"crack": 12, "rust": 20} for number in range(2)}


@every_format
def test_a_name_without_folders_is_not_guessed(name: str, tmp_path: Path):
    for path in ("a/1.png", "b/1.png", "b/2.png"):
        image(tmp_path / "pictures" / path)
    FORMATS[name](tmp_path, [("1.png", [CRACK]), ("2.png", [RUST])])
    dataset = open_dataset(Data(dataset=name), tmp_path)
    assert labels(dataset) == {"pictures/b/2.png": {"rust": 20}}
    (problem,) = [one for one in dataset.problems if one.code == "D230"]
    assert all(f"pictures/{folder}/1.png" in problem.message for folder in "ab")


@pytest.mark.parametrize("name", ["coco", "cvat", "label-studio"])
def test_images_that_differ_in_their_extension_only_are_two(name: str, tmp_path: Path):
    for ending in ("png", "jpg"):
        image(tmp_path / "images" / f"1.{ending}")
    FORMATS[name](tmp_path, [("images/1.png", [CRACK]), ("images/1.jpg", [RUST])])
    dataset = open_dataset(Data(dataset=name), tmp_path)
    assert labels(dataset) == {"images/1.png": {"crack": 12}, "images/1.jpg": {"rust": 20}}
    ids = [sample.id for samples in dataset.splits.values() for sample in samples]
    assert len(set(ids)) == 2


@every_format
def test_two_pictures_do_not_share_the_only_image_of_their_name(name: str, tmp_path: Path):
    for path in ("1.png", "2.png"):
        image(tmp_path / "images" / path)
    FORMATS[name](tmp_path, [("a/1.png", [CRACK]), ("b/1.png", [RUST]), ("images/2.png", [RUST])])
    dataset = open_dataset(Data(dataset=name), tmp_path)
    assert labels(dataset) == {"images/2.png": {"rust": 20}}
    (problem,) = [one for one in dataset.problems if one.code == "D230"]
    assert all(one in problem.message.replace("\\", "/") for one in ("a/1.png", "b/1.png", "images/1.png"))


@every_format
def test_what_is_not_used_is_said(name: str, tmp_path: Path):
    for path in ("1.png", "unnoticed.png"):
        image(tmp_path / "images" / path)
    (tmp_path / "images" / "photo.heic").write_bytes(b"x")
    (tmp_path / "images" / "depth.npy").write_bytes(b"x")
    FORMATS[name](tmp_path, [("images/1.png", [CRACK]), ("images/missing.png", [RUST])])
    outside: tuple[str, Box] = ("crack", (50, 50, 60, 60))
    FORMATS[name](tmp_path, [("images/1.png", [outside])], "more")
    dataset = open_dataset(Data(), tmp_path)
    assert labels(dataset) == {"images/1.png": {"crack": 12}}
    found = {one.code: one for one in dataset.problems}
    assert {"D230", "W215", "W221", "W222"} <= found.keys()
    assert "missing.png" in found["D230"].message
    assert all(ending in found["W215"].message for ending in (".heic", ".npy"))
    assert "covers no pixel" in found["W221"].message
    assert any(file.endswith("unnoticed.png") for file in found["W222"].files)


@pytest.mark.parametrize("name", ["coco", "cvat", "labelme"])
def test_a_contradiction_about_the_size_leaves_the_image_out(name: str, tmp_path: Path):
    image(tmp_path / "images" / "1.png")
    image(tmp_path / "images" / "2.png")
    FORMATS[name](tmp_path, [("images/1.png", [CRACK]), ("images/2.png", [CRACK])])
    FORMATS[name](tmp_path, [("images/1.png", [RUST])], "more")
    for path in tmp_path.rglob("more*.*"):
        changed = re.sub(r'("?(?:height|imageHeight)"?[=:] ?"?)8', r"\g<1>9", path.read_text("utf-8"))
        text(path, changed)
    dataset = open_dataset(Data(), tmp_path)
    assert labels(dataset) == {"images/2.png": {"crack": 12}}
    (problem,) = [one for one in dataset.problems if one.code == "D230"]
    assert all(size in problem.message for size in ("10x8", "10x9"))


def test_a_broken_object_in_one_file_leaves_the_whole_image_out(tmp_path: Path):
    image(tmp_path / "images" / "1.png")
    image(tmp_path / "images" / "2.png")
    coco(tmp_path, [("images/1.png", [CRACK]), ("images/2.png", [CRACK])])
    coco(tmp_path, [("images/1.png", [RUST])], "more")
    file = tmp_path / "annotations" / "more.json"
    text(file, file.read_text("utf-8").replace("[[5, 2, 10", "[[5, null, 10"))
    dataset = open_dataset(Data(), tmp_path)
    assert labels(dataset) == {"images/2.png": {"crack": 12}}
    assert "null" in errors(dataset)


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        ("coco", {"annotations/captions.json": {"annotations": [], "info": 1}}, ("W223", "captions.json")),
        ("labelme", {"notes/config.json": {"a": 1}}, ("W223", "config.json")),
        ("cvat", {"other.xml": "<annotation/>"}, ("W223", "other.xml")),
        ("coco", {"annotations/cut.json": '{"images": [{"file_name": "1.png"'}, ("D230", "cut.json")),
    ],
)
def test_files_of_other_formats_are_said(name: str, files: dict[str, Any], said: tuple[str, str], tmp_path: Path):
    image(tmp_path / "images" / "1.png")
    FORMATS[name](tmp_path, [("images/1.png", [CRACK])])
    for path, content in files.items():
        text(tmp_path / path, content)
    try:
        found = errors(open_dataset(Data(), tmp_path))
    except DataError as error:  # a damaged file stops everything
        found = str(error)
    assert all(part in found for part in said)


def yolo(root: Path, folders: Sequence[str]) -> None:
    for number, folder in enumerate(folders):
        image(root / "images" / folder / "1.png")
        (x, y, u, v) = (CRACK, RUST)[number % 2][1]
        corners = " ".join(f"{a / 10} {b / 8}" for a, b in ((x, y), (u, y), (u, v), (x, v)))
        text(root / "labels" / folder / "1.txt", f"{number % 2} {corners}\n")
    text(root / "classes.txt", "crack\nrust\n")


def test_yolos_labels_go_to_the_image_at_the_same_path(tmp_path: Path):
    yolo(tmp_path, ["train", "val"])
    dataset = open_dataset(Data(), tmp_path)
    assert (errors(dataset), labels(dataset)) == (
        "",
        {"images/train/1.png": {"crack": 12}, "images/val/1.png": {"rust": 20}},
    )


def test_yolos_labels_without_an_image_and_with_two_are_said(tmp_path: Path):
    yolo(tmp_path, ["train", "val"])
    (tmp_path / "images/train/1.png").rename(tmp_path / "images/train/2.png")
    image(tmp_path / "images/val/1.jpg")
    text(tmp_path / "labels/val/readme.txt", "made by hand")
    dataset = open_dataset(Data(), tmp_path)
    assert labels(dataset) == {"images/train/2.png": {}}
    found = {one.code: one.message for one in dataset.problems}
    assert "there is no image train/1" in found["D230"]
    assert all(f"images/val/1.{ending}" in found["D230"] for ending in ("png", "jpg"))
    assert "readme.txt" in found["W223"]


@pytest.mark.parametrize(
    ("yaml", "splits", "code"),
    [
        ("train: images/x\nval: images/y\n", {"train": ["images/x/1.png"], "val": ["images/y/1.png"]}, ""),
        ("train: ../y/images/y\nval: [images/x]\n", {"train": ["images/y/1.png"], "val": ["images/x/1.png"]}, ""),
        ("path: /home/me/d\ntrain: /home/me/d/images/x\nval: x.txt\n", None, "D232"),
        ("train: images/x\nval: images/z\n", None, "D232"),
        ("train: images/x\nval: images/y\ntest: images/z\n", None, "W223"),
        ("train: images\nval: images\n", None, "W223"),
        ("train: images/x\nval: val.txt\n", {"train": ["images/x/1.png"], "val": ["images/y/1.png"]}, ""),
    ],
)
def test_yolos_description_gives_the_splits(yaml: str, splits: dict[str, list[str]] | None, code: str, tmp_path: Path):
    yolo(tmp_path, ["x", "y"])
    (tmp_path / "classes.txt").unlink()
    text(tmp_path / "data.yaml", f"{yaml}names: [crack, rust]\n")
    if "val.txt" in yaml:
        text(tmp_path / "val.txt", "\ufeff./images/y/1.png\r\n")
    dataset = open_dataset(Data(dataset="yolo"), tmp_path)
    codes = {one.code for one in dataset.problems} - {"W216"}
    assert codes == ({code} if code else set())
    if splits is not None:
        found = {
            name: [s.image_path.relative_to(tmp_path).as_posix() for s in samples]
            for name, samples in dataset.splits.items()
        }
        assert found == splits


def test_class_lists_that_differ_are_an_error(tmp_path: Path):
    yolo(tmp_path, ["train", "val"])
    text(tmp_path / "data.yaml", "names: [rust, crack]\n")
    with pytest.raises(DataError, match=r"D230.*class 0 is 'crack', but 'rust' in .*data\.yaml"):
        open_dataset(Data(), tmp_path)
