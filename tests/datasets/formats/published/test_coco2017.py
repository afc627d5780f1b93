import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.published import coco2017 as coco
from pixelwise.datasets.formats.published.coco2017 import CATEGORIES, coco_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import VOC
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage.caches import cache_folder

PERSON, CAR, ZEBRA = 1, 3, 24  # classes 15 and 7; zebras are background
SIZE = (40, 50)


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(top: int, bottom: int) -> dict[str, Any]:
    """Whole rows in COCO's encoding of crowds: run lengths down the columns."""
    height, width = SIZE
    counts = [top, *([bottom - top, height - bottom + top] * width)]
    counts[-1] = height - bottom
    return {"counts": counts, "size": list(SIZE)}


class Miniature:
    """COCO 2017 with a few images; `write` puts its files on the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.content: dict[str, dict[str, list[dict[str, Any]]]] = {}
        names = {**CATEGORIES, ZEBRA: "zebra"}
        for split in ("train", "val"):
            categories = [{"id": id, "name": name, "supercategory": "x"} for id, name in names.items()]
            self.content[split] = {"images": [], "annotations": [], "categories": categories}

    def add(self, split: str, number: int, *objects: tuple[int, Any, float], iscrowd: int = 0) -> None:
        """An image with objects (category, outline, area)."""
        height, width = SIZE
        content = self.content[split]
        content["images"].append(
            {"id": number, "file_name": f"{number:012d}.jpg", "height": height, "width": width, "license": 1}
        )
        for category, segmentation, area in objects:
            content["annotations"].append(
                {
                    "id": len(content["annotations"]), "image_id": number, "category_id": category, "area": area,
                    "segmentation": segmentation, "iscrowd": iscrowd, "bbox": [0, 0, 1, 1],
                }
            )  # fmt: skip

    def write(self, images: str = "{split}2017") -> Path:
        (self.root / "annotations").mkdir(exist_ok=True)
        for split, content in self.content.items():
            folder = self.root / images.format(split=split)
            folder.mkdir(parents=True, exist_ok=True)
            for image in content["images"]:
                picture = np.full((*SIZE, 3), image["id"], np.uint8)
                Image.fromarray(picture).save(folder / image["file_name"])
            (self.root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content))
        return self.root


@pytest.fixture
def miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Miniature(tmp_path / "coco")
    made.root.mkdir()
    made.add("train", 1, (PERSON, rectangle(0, 0, 40, 30), 1200.0), (CAR, rectangle(30, 20, 50, 40), 400.0))
    made.add("train", 2, (PERSON, rectangle(0, 0, 20, 20), 400.0), (ZEBRA, rectangle(0, 0, 50, 40), 2000.0))
    made.add("val", 7, (PERSON, rectangle(0, 0, 10, 10), 100.0))
    made.add("val", 8)
    made.add("val", 9, (CAR, runs(10, 40), 1500.0), iscrowd=1)
    return made


def labels_of(root: Path, split: str, position: int = 0) -> np.ndarray:
    dataset = open_dataset(Data(dataset="cocoseg21"), root)
    return read_pair(dataset.samples(split)[position], dataset)[1]


@pytest.mark.parametrize("images", ["{split}2017", "images/{split}2017"])
def test_coco_is_recognised_and_its_masks_are_ordinary_files(miniature: Miniature, images: str):
    dataset = open_dataset(Data(), miniature.write(images))
    assert (dataset.name, dataset.classes, dataset.palette) == ("cocoseg21", VOC.names, VOC.palette)
    assert dataset.problems == ()
    assert audit(dataset).errors == ()


def test_objects_become_classes_and_pixels_of_two_of_them_are_ignored(miniature: Miniature):
    expected = np.zeros(SIZE, np.uint8)
    expected[:30, :40] = VOC.names.index("person")
    expected[20:, 30:] = VOC.names.index("car")
    expected[20:30, 30:40] = 255
    assert np.array_equal(labels_of(miniature.write(), "train"), expected)


def test_two_objects_of_one_class_are_ignored_where_they_overlap(miniature: Miniature):
    miniature.add("val", 1, (CAR, rectangle(0, 0, 20, 20), 400.0), (CAR, rectangle(10, 0, 30, 20), 400.0))
    labels = labels_of(miniature.write(), "val")
    assert labels[0, [0, 9, 10, 19, 20, 29, 30]].tolist() == [7, 7, 255, 255, 7, 7, 0]


def test_the_two_polygons_of_one_object_do_not_count_as_two(miniature: Miniature):
    miniature.add("val", 1, (CAR, rectangle(0, 0, 20, 20) + rectangle(10, 0, 30, 20), 600.0))
    assert np.unique(labels_of(miniature.write(), "val")).tolist() == [0, 7]


def test_a_crowd_counts_like_any_object(miniature: Miniature):
    labels = labels_of(miniature.write(), "val", position=2)
    assert np.array_equal(labels, np.repeat(np.where(np.arange(40) < 10, 0, 7)[:, None], 50, axis=1))


def test_a_compressed_run_length_code_is_drawn(miniature: Miniature):
    # pycocotools' text for 40 x 50 pixels with the first column set.
    miniature.add("val", 1, (PERSON, {"counts": "0X1Xm1", "size": list(SIZE)}, 40.0))
    labels = labels_of(miniature.write(), "val")
    assert (labels[:, 0] == 15).all()
    assert not labels[:, 1:].any()


def test_all_20_categories_have_vocs_classes(miniature: Miniature):
    for number, category in enumerate(CATEGORIES):
        miniature.add("val", 100 + number, (category, rectangle(0, 0, 50, 40), 2000.0))
    dataset = open_dataset(Data(), miniature.write())
    found = [read_pair(sample, dataset)[1][0, 0] for sample in dataset.samples("val")[3:]]
    assert found == list(range(1, 21))
    synonyms = {"airplane": "aeroplane", "dining table": "diningtable", "motorcycle": "motorbike", "tv": "tvmonitor"}
    synonyms |= {"potted plant": "pottedplant", "couch": "sofa"}
    assert [synonyms.get(name, name) for name in CATEGORIES.values()] == list(VOC.names[1:])


def test_training_images_with_few_labelled_pixels_are_left_out_and_val_is_complete(miniature: Miniature):
    dataset = open_dataset(Data(dataset="cocoseg21"), miniature.write())
    assert [sample.id for sample in dataset.samples("train")] == ["000000000001"]
    assert [sample.id for sample in dataset.samples("val")] == [f"{number:012d}" for number in (7, 8, 9)]
    assert not labels_of(miniature.root, "val", position=1).any()


def test_exactly_1000_pixels_are_too_few(miniature: Miniature):
    miniature.add("train", 3, (CAR, rectangle(0, 0, 50, 20), 1000.0))
    miniature.add("train", 4, (CAR, rectangle(0, 0, 50, 20), 1000.5))
    dataset = open_dataset(Data(), miniature.write())
    assert [int(sample.id) for sample in dataset.samples("train")] == [1, 4]


def test_ti_filters_val_as_well(miniature: Miniature):
    dataset = open_dataset(Data(dataset="cocoseg21-edgeai"), miniature.write())
    assert (dataset.name, [int(sample.id) for sample in dataset.samples("val")]) == ("cocoseg21-edgeai", [9])


def test_masks_are_drawn_once(miniature: Miniature, monkeypatch: pytest.MonkeyPatch):
    root = miniature.write()
    first = open_dataset(Data(), root)
    monkeypatch.setattr(coco, "draw_segmentation", None)
    assert open_dataset(Data(), root) == first
    assert open_dataset(Data(dataset="cocoseg21-edgeai"), root).splits["train"] == first.splits["train"]


@pytest.mark.parametrize("content", [None, b"[[", b'{"a": 1}'])
def test_masks_whose_index_is_damaged_are_drawn_again(content: bytes | None, miniature: Miniature):
    root = miniature.write()
    first = open_dataset(Data(), root)
    for index in cache_folder().glob("cocoseg21-v1-*/index.json"):
        index.unlink() if content is None else index.write_bytes(content)
    assert open_dataset(Data(), root) == first
    assert len(list(cache_folder().glob("cocoseg21-v1-*/index.json"))) == 2


def test_other_annotations_are_drawn_anew(miniature: Miniature):
    before = labels_of(miniature.write(), "val")
    miniature.content["val"]["annotations"][0]["segmentation"] = rectangle(0, 0, 50, 40)
    assert not np.array_equal(labels_of(miniature.write(), "val"), before)


def test_a_drawing_that_fails_leaves_nothing_behind(miniature: Miniature, monkeypatch: pytest.MonkeyPatch):
    drawn = coco.draw_segmentation

    def fail_at_the_last(segmentation: Any, height: int, width: int) -> np.ndarray:
        if isinstance(segmentation, dict):
            raise KeyboardInterrupt
        return drawn(segmentation, height, width)

    monkeypatch.setattr(coco, "draw_segmentation", fail_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(Data(), miniature.write())
    # Of train, which was complete, and nothing of val.
    assert len([path for path in cache_folder().iterdir() if path.is_dir()]) == 1


def test_nothing_is_written_beside_the_data(miniature: Miniature):
    root = miniature.write()
    before = sorted(root.rglob("*"))
    open_dataset(Data(), root)
    assert sorted(root.rglob("*")) == before


def test_one_split_alone_opens(miniature: Miniature):
    root = miniature.write()
    (root / "annotations" / "instances_train2017.json").unlink()
    assert list(open_dataset(Data(), root).splits) == ["val"]


def test_annotated_images_that_do_not_exist_are_d220(miniature: Miniature):
    root = miniature.write()
    (root / "val2017" / f"{8:012d}.jpg").unlink()
    dataset = open_dataset(Data(), root)
    (problem,) = dataset.problems
    assert (problem.code, problem.total) == ("D220", 1)
    assert "1 of 3" in problem.message
    assert problem.message.endswith(f"{8:012d}.jpg")
    assert len(dataset.samples("val")) == 2


def test_a_split_without_any_image_is_empty(miniature: Miniature):
    root = miniature.write()
    for image in (root / "val2017").iterdir():
        image.unlink()
    assert [problem.code for problem in open_dataset(Data(), root).problems] == ["D220", "D221"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "it ends too early"), ("[]", "Expected `object`"), ('{"images": []}', "missing required field")],
)
def test_a_damaged_annotation_file_is_d227(miniature: Miniature, text: str, message: str):
    root = miniature.write()
    (root / "annotations" / "instances_val2017.json").write_text(text)
    with pytest.raises(DataError, match=rf"instances_val2017\.json: .*{message}") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D227"


def test_an_outline_that_cannot_be_drawn_names_its_image(miniature: Miniature):
    miniature.add("val", 1, (CAR, [[1, 2, 3]], 10.0))
    with pytest.raises(DataError, match=r"000000000001\.jpg: .*polygon .*\b3\b") as caught:
        open_dataset(Data(), miniature.write())
    assert caught.value.code == "D227"


def test_annotations_of_somebody_elses_categories_are_refused_as_the_21_classes(miniature: Miniature):
    miniature.content["train"]["categories"] = [{"id": 5, "name": "bolt"}]
    with pytest.raises(DataError, match=r"\b5 .*'bolt'.*'airplane'") as caught:
        open_dataset(Data(dataset="cocoseg21"), miniature.write())
    assert caught.value.code == "D227"
    assert "data.dataset=coco" in caught.value.help


def test_annotations_of_somebody_elses_categories_open_as_their_own(miniature: Miniature):
    for split in ("train", "val"):
        miniature.content[split]["categories"] = [{"id": PERSON, "name": "bolt"}, {"id": CAR, "name": "nut"}]
        for annotation in miniature.content[split]["annotations"]:
            annotation["category_id"] = min(annotation["category_id"], CAR)
    dataset = open_dataset(Data(), miniature.write())
    assert (dataset.name, dataset.classes) == ("coco", ("background", "bolt", "nut"))
    assert {name: len(samples) for name, samples in dataset.splits.items()} == {"train": 2, "val": 3}


def test_other_folders_are_not_coco(tmp_path: Path):
    (tmp_path / "val2017").mkdir()
    assert coco_layout(tmp_path) is None
