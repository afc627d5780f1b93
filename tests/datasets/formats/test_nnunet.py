import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.nnunet import nnunet_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
VALUES = np.array([[0, 1, 2, 3]], np.uint8)
LABELS = {"background": 0, "cell": 1, "wall": 2, "ignore": 3}


def image(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (1, 4, 3), np.uint8)).save(path)


def mask(path: Path, values: np.ndarray = VALUES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write(root: Path, labels: Any = LABELS, cases: tuple[str, ...] = ("a_0001", "a_0002", "b")) -> Path:
    root = root / "nnUNet_raw" / "Dataset007_Cells"
    root.mkdir(parents=True)
    for number, case in enumerate(cases):
        image(root / "imagesTr" / f"{case}_0000.png", number)
        mask(root / "labelsTr" / f"{case}.png")
    content = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": labels, "numTraining": len(cases)}
    (root / "dataset.json").write_text(json.dumps({**content, "file_ending": ".png"}), "utf-8")
    return root


def ids(root: Path) -> dict[str, list[str]]:
    return {split: [sample.id for sample in found] for split, found in open_dataset(Data(), root).splits.items()}


def said(root: Path) -> dict[str, str]:
    return {problem.code: problem.message for problem in open_dataset(Data(), root).problems}


def labels_of(root: Path) -> list[list[int]]:
    dataset = open_dataset(Data(), root)
    return [read_pair(sample, dataset)[1][0].tolist() for found in dataset.splits.values() for sample in found]


def test_cases_and_their_labels_by_hand(tmp_path: Path):
    root = write(tmp_path)
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.classes, dataset.problems) == ("nnunet", ("background", "cell", "wall"), ())
    assert sorted(name for found in ids(root).values() for name in found) == ["a_0001", "a_0002", "b"]
    assert labels_of(root) == [[0, 1, 2, 255]] * 3
    assert audit(dataset).errors == ()
    assert open_dataset(Data(), root.parent).name == "nnunet"  # the folders above, too


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (
            {"0": "background", "1": "cell", "2": "wall", "3": "core"},
            ("background", "cell", "wall", "core"),
            [0, 1, 2, 3],
        ),
        ({"background": 0, "wall": 2, "cell": 1, "core": 3}, ("background", "cell", "wall", "core"), [0, 1, 2, 3]),
        ({"background": 0, "cell": [1], "wall": 2, "Ignore": 3}, ("background", "cell", "wall"), [0, 1, 2, 255]),
    ],
    ids=["version 1", "any order", "lists of one"],
)
def test_names_of_values(labels: dict[str, Any], classes: tuple[str, ...], expected: list[int], tmp_path: Path):
    root = write(tmp_path, labels)
    assert open_dataset(Data(), root).classes == classes
    assert labels_of(root) == [expected] * 3


def test_values_with_gaps_become_consecutive_classes(tmp_path: Path):
    root = write(tmp_path, {"background": 0, "cell": 7, "wall": 300})
    for path in (root / "labelsTr").iterdir():
        mask(path, np.array([[0, 7, 300, 300]], np.uint16))
    assert labels_of(root) == [[0, 1, 2, 2]] * 3


def test_regions_are_read_as_exclusive_classes_and_that_is_said(tmp_path: Path):
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    root = write(tmp_path, regions)
    file = root / "dataset.json"
    content = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(content | {"regions_class_order": [1, 2, 3]}), "utf-8")
    assert open_dataset(Data(), root).classes == ("background", "whole", "core", "enhancing")
    assert "1 = whole, 2 = core, 3 = enhancing" in said(root)["W246"]
    file.write_text(json.dumps(content), "utf-8")  # without an order, nothing names the values
    assert open_dataset(Data(), root).classes == ("background", "label 1", "label 2", "label 3")


def test_the_first_fold_divides_the_cases_and_the_others_are_said(tmp_path: Path):
    root = write(tmp_path, cases=("a", "b", "c", "d"))
    folds = [{"train": ["a", "c"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]
    (root / "splits_final.json").write_text(json.dumps(folds), "utf-8")
    assert ids(root) == {"train": ["a", "c"], "val": ["b"]}
    assert said(root).keys() == {"W216", "W247"}
    assert "2 folds" in said(root)["W247"]
    assert "d_0000.png" in said(root)["W216"]


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([{"train": ["a_0001", "x"], "val": ["b"]}], "1 cases of train have no image with a mask, e.g. 'x'"),
        ([{"train": ["a_0001", "b"], "val": ["b"]}], "share 1 cases, e.g. 'b'"),
        (
            [{"train": ["b", "x"], "val": ["b", "y"]}],
            "1 cases of train have no image with a mask, e.g. 'x'; 1 cases of val have no image with a mask, e.g. 'y'; "
            "train and val share 1 cases, e.g. 'b'",
        ),
        ([], "holds no fold"),
    ],
)
def test_folds_that_cannot_be_used_are_d232(folds: list[Any], message: str, tmp_path: Path):
    root = write(tmp_path)
    (root / "splits_final.json").write_text(json.dumps(folds), "utf-8")
    (found,) = [problem.message for problem in open_dataset(Data(), root).problems if problem.code == "D232"]
    assert message in found


def test_test_images_with_and_without_labels(tmp_path: Path):
    root = write(tmp_path)
    image(root / "imagesTs" / "t_0000.png", 9)
    assert "test" in said(root)["W220"]
    mask(root / "labelsTs" / "t.png")
    assert ids(root)["test"] == ["t"]


def test_channels_in_several_files_are_the_bands_of_one_image(tmp_path: Path):
    root = write(tmp_path, cases=())
    expected = {}
    for number, case in enumerate(("a", "b", "c")):
        bands = np.random.default_rng(number).integers(0, 256, (5, 1, 4), np.uint8)
        for channel, band in enumerate(bands):
            path = root / "imagesTr" / f"{case}_{channel:04d}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, band)
        mask(root / "labelsTr" / f"{case}.tif")
        expected[case] = np.moveaxis(bands, 0, 2)
    dataset = open_dataset(Data(channels=(4, 1, 2)), root)
    for found in dataset.splits.values():
        for sample in found:
            assert np.array_equal(read_pair(sample, dataset)[0], expected[sample.id][..., [4, 1, 2]])
    assert dataset.problems == ()


def test_channels_that_do_not_fit_together_are_d242(tmp_path: Path):
    root = write(tmp_path)
    mask(root / "imagesTr" / "b_0001.png")
    with pytest.raises(DataError, match="1x4 uint8 and 1x4x3 uint8") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D242"


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_volumes_are_said(ending: str, tmp_path: Path):
    root = write(tmp_path, cases=())
    for folder, name in (("imagesTr", "a_0000"), ("labelsTr", "a")):
        (root / folder).mkdir()
        (root / folder / f"{name}{ending}").write_bytes(b"x")
    with pytest.raises(DataError, match="two-dimensional") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D241"


def surplus(root: Path) -> None:
    image(root / "imagesTr" / "lonely_0000.png", 8)
    mask(root / "labelsTr" / "orphan.png")
    (root / "imagesTr" / "photo.heic").write_bytes(b"x")


def test_whatever_is_superfluous_is_said(tmp_path: Path):
    root = write(tmp_path)
    surplus(root)
    found = open_dataset(Data(), root).problems
    files = " ".join(str(file) for problem in found for file in problem.files)
    assert all(name in files for name in ("lonely_0000.png", "orphan.png", "photo.heic"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "dataset.json").write_text("{"), "ends too early"),
        (lambda root: (root / "dataset.json").write_text("{}"), "labels"),
        (lambda root: (root / "dataset.json").write_text('{"labels": {"a": -1}}'), "value -1"),
        (lambda root: (root / "dataset.json").write_text('{"labels": {}}'), "names no class"),
        (lambda root: (root / "splits_final.json").write_text("[1]"), "splits_final"),
    ],
)
def test_a_description_that_cannot_be_read_is_d230(spoil: Callable[[Path], object], message: str, tmp_path: Path):
    root = write(tmp_path)
    spoil(root)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D230"


def test_without_a_description_the_masks_tell_the_classes(tmp_path: Path):
    root = write(tmp_path)
    (root / "dataset.json").unlink()
    assert len(open_dataset(Data(), root).classes) == 4


def test_other_folders_are_not_nnunets(tmp_path: Path):
    assert nnunet_layout(tmp_path) is None
    image(tmp_path / "images" / "a_0000.png")
    assert nnunet_layout(tmp_path) is None
