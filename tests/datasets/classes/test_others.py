"""Other data than a network's own is read by its own names, in every format that names its classes."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.format import FORMATS, Scene, Scenes
from pixelwise.datasets.opening import open_by_names, open_dataset, settled
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.errors import CheckpointError, DataError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import miniature_scenes

OWN = [name for name, one in FORMATS.all().items() if one.classes is None and one.miniature is not None]
IDS = np.random.default_rng(0).integers(0, 3, (24, 32)).astype(np.uint8)
NAMES = ("background", "road", "car")


def reordered(scenes: Scenes, order: list[int]) -> Scenes:
    """The same scenes with the classes in another order: class `order[i]` of the original becomes `i`."""
    new = np.full(256, 255, np.uint8)
    new[order] = np.arange(len(order))

    def moved(scene: Scene) -> Scene:
        boxes = tuple(box._replace(class_id=int(new[box.class_id])) for box in scene.boxes)
        return Scene(scene.image, new[scene.labels], boxes)

    splits = {name: [moved(scene) for scene in members] for name, members in scenes.splits.items()}
    return Scenes(classes=tuple(scenes.classes[index] for index in order), splits=splits, raw_values=scenes.raw_values)


@pytest.mark.parametrize("name", OWN)
def test_the_same_pixels_are_the_same_classes_in_another_order(name: str, tmp_path: Path):
    format = FORMATS[name]
    scenes = miniature_scenes(format, (2, 2), (48, 64))
    # Annotations list background first, whatever their order is.
    order = [0, 3, 1, 2] if format.miniature.boxes else [2, 0, 3, 1]
    for folder, one in (("own", scenes), ("other", reordered(scenes, order))):
        (tmp_path / folder).mkdir()
        format.miniature.write(tmp_path / folder, one)
    own = open_dataset(Data(dataset=name), tmp_path / "own")
    data = settled(Data(dataset=name), own)

    found = open_by_names(data, tmp_path / "other", own.classes, own.naming)

    assert (found.classes, found.palette) == (own.classes, own.palette)
    for split, members in scenes.splits.items():
        for sample, scene in zip(found.splits[split], members, strict=True):
            np.testing.assert_array_equal(read_labels(sample, found), scene.labels)
    again = open_by_names(data, tmp_path / "own", own.classes, own.naming)
    assert (again.remarks, again.label_table) == ((), own.label_table)


def folder(root: Path, ids: np.ndarray = IDS, toml: str = "") -> Path:
    for split in ("train", "val"):
        for part, array in (("images", np.zeros((*ids.shape, 3), np.uint8)), ("masks", ids)):
            (root / part / split).mkdir(parents=True)
            Image.fromarray(array).save(root / part / split / "a.png")
    if toml:
        (root / "dataset.toml").write_text(toml, "utf-8")
    return root


def labels(dataset) -> np.ndarray:
    return read_labels(dataset.samples("val")[0], dataset)


def trained_on(root: Path, **fields) -> tuple[Data, tuple[str, ...], str]:
    data = Data(**fields)
    dataset = open_dataset(data, root)
    return settled(data, dataset), dataset.classes, dataset.naming


CLASSES = 'classes = ["background", "road", "car"]\n'
SWAPPED = 'classes = ["background", "car", "road"]\n'


def test_roboflows_list_decides(tmp_path: Path):
    for name, order in (("own", (0, 1, 2)), ("other", (2, 0, 1))):
        (tmp_path / name / "valid").mkdir(parents=True)
        lines = "".join(f"{raw}, {NAMES[class_id]}\n" for raw, class_id in enumerate(order))
        (tmp_path / name / "valid" / "_classes.csv").write_text(f"Pixel Value, Class\n{lines}", "utf-8")
        Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / name / "valid" / "a.jpg")
        Image.fromarray(np.argsort(order)[IDS].astype(np.uint8)).save(tmp_path / name / "valid" / "a_mask.png")
    data, classes, naming = trained_on(tmp_path / "own")
    found = open_by_names(data, tmp_path / "other", classes, naming)
    assert [one.code for one in found.remarks] == ["W410"]
    np.testing.assert_array_equal(labels(found), IDS)


def test_values_that_the_data_explains_itself_are_read_so(tmp_path: Path):
    data, classes, naming = trained_on(folder(tmp_path / "own", toml=CLASSES))
    raw = np.array([40, 7, 255], np.uint8)
    other = folder(tmp_path / "other", raw[IDS], CLASSES + 'label_map = { "40" = 0, "7" = 1, "255" = 2 }\n')
    np.testing.assert_array_equal(labels(open_by_names(data, other, classes, naming)), IDS)


def test_a_map_of_the_network_serves_data_with_the_same_names_in_the_same_order(tmp_path: Path):
    own = folder(tmp_path / "own", 100 * IDS, CLASSES)
    data, classes, naming = trained_on(own, label_map={"0": 0, "100": 1, "200": 2})
    other = folder(tmp_path / "other", 100 * IDS, CLASSES + "ignore = 9\n")
    np.testing.assert_array_equal(labels(open_by_names(data, other, classes, naming)), IDS)
    swapped = folder(tmp_path / "swapped", 100 * IDS, SWAPPED)
    with pytest.raises(CheckpointError, match="100 = 1, 200 = 2") as caught:
        open_by_names(data, swapped, classes, naming)
    assert caught.value.code == "K408"


def test_ids_that_the_network_ignored_stay_ignored_in_another_order(tmp_path: Path):
    own = folder(tmp_path / "own", toml=CLASSES + "ignore = 7\n")
    data, classes, naming = trained_on(own)
    other = folder(tmp_path / "other", np.where(IDS == 0, 7, IDS).astype(np.uint8), SWAPPED)
    found = labels(open_by_names(data, other, classes, naming))
    np.testing.assert_array_equal(found, np.array([255, 2, 1])[IDS])


def test_a_recipe_that_merges_classes_reads_more_data_of_the_same_kind_likewise(tmp_path: Path):
    fields = {"classes": ("ground", "vehicle"), "label_map": {"0": 0, "1": 0, "2": 1}}
    data, classes, naming = trained_on(folder(tmp_path / "own", toml=CLASSES), **fields)
    found = open_by_names(data, folder(tmp_path / "other", IDS.T.copy().reshape(IDS.shape), CLASSES), classes, naming)
    assert (found.classes, found.remarks) == (("ground", "vehicle"), ())
    with pytest.raises(CheckpointError, match="only the data has: background, car, road") as caught:
        open_by_names(data, folder(tmp_path / "swapped", toml=SWAPPED), classes, naming)
    assert caught.value.code == "K406"


def test_data_without_names_is_read_by_ids_and_that_is_said(tmp_path: Path):
    data, classes, naming = trained_on(folder(tmp_path / "own", toml=CLASSES))
    found = open_by_names(data, folder(tmp_path / "other"), classes, naming)
    assert [one.code for one in found.remarks] == ["W411"]
    np.testing.assert_array_equal(labels(found), IDS)
    more = open_by_names(data, folder(tmp_path / "more", np.where(IDS == 2, 3, IDS).astype(np.uint8)), classes, naming)
    with pytest.raises(DataError) as caught:
        labels(more)
    assert caught.value.code == "D202"


@pytest.mark.parametrize("names", [["background", "road"], ["background", "road", "car", "bus"], ["a", "b", "c"]])
def test_fewer_more_and_other_names_are_refused(names: list[str], tmp_path: Path):
    data, classes, naming = trained_on(folder(tmp_path / "own", toml=CLASSES))
    other = folder(tmp_path / "other", IDS % 2, f"classes = {json.dumps(names)}\n")
    with pytest.raises(CheckpointError) as caught:
        open_by_names(data, other, classes, naming)
    assert caught.value.code == "K406"


def labelme(root: Path, names: tuple[str, ...]) -> Path:
    root.mkdir()
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(root / "a.png")
    shapes = [
        {"label": name, "points": [[4 * i, 2], [4 * i + 3, 2], [4 * i + 3, 9], [4 * i, 9]], "shape_type": "polygon"}
        for i, name in enumerate(names)
    ]
    plain = {"imagePath": "a.png", "imageHeight": 24, "imageWidth": 32, "shapes": shapes}
    (root / "a.json").write_text(json.dumps(plain), "utf-8")
    shutil.copy(root / "a.png", root / "b.png")
    (root / "b.json").write_text(json.dumps({**plain, "imagePath": "b.png"}), "utf-8")
    return root


def test_labels_of_annotations_are_matched_by_name_and_those_that_lack_are_said(tmp_path: Path):
    data, classes, naming = trained_on(labelme(tmp_path / "own", ("zebra", "ant", "cat")))
    assert classes == ("background", "ant", "cat", "zebra")
    found = open_by_names(data, labelme(tmp_path / "other", ("Zebra", "cat")), classes, naming)
    drawn = read_labels(next(iter(found.splits.values()))[0], found)
    assert (drawn[5, 1], drawn[5, 5], drawn[20, 20]) == (3, 2, 0)
    assert [(one.code, "ant" in one.message) for one in found.remarks] == [("W412", True)]
    with pytest.raises(CheckpointError, match="dog") as caught:
        open_by_names(data, labelme(tmp_path / "dogs", ("dog", "cat")), classes, naming)
    assert caught.value.code == "K406"


def test_labels_that_a_recipe_maps_are_read_as_it_says(tmp_path: Path):
    fields = {"labels": {"zebra": 1, "ant": 2, "cat": 1}, "classes": ("background", "mammal", "insect")}
    data, classes, naming = trained_on(labelme(tmp_path / "own", ("zebra", "ant", "cat")), **fields)
    found = open_by_names(data, labelme(tmp_path / "other", ("cat", "ant")), classes, naming)
    drawn = read_labels(next(iter(found.splits.values()))[0], found)
    assert (drawn[5, 1], drawn[5, 5], drawn[20, 20]) == (1, 2, 0)


def test_what_data_says_has_a_hash_of_names_and_values_alone(tmp_path: Path):
    texts = ("", CLASSES, SWAPPED, CLASSES + "ignore = 9\n", CLASSES + 'label_map = { "1" = 2 }\n')
    namings = [open_dataset(Data(), folder(tmp_path / str(i), toml=text)).naming for i, text in enumerate(texts)]
    assert namings[0] == ""
    assert len(set(namings)) == len(texts)
    renamed = Data(classes=("x", "y", "z"), label_map={"0": 0, "1": 1, "2": 2})
    again = open_dataset(renamed, tmp_path / "1")
    assert (again.naming, again.classes) == (namings[1], ("x", "y", "z"))
    assert msgspec.json.decode(msgspec.json.encode(again.naming)) == namings[1]
