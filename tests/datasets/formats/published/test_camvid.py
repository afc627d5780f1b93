from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.formats.published.camvid import (
    camvid_layout,
    development_divisions,
    looks_like_camvid,
    standard_split,
)
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import write_miniature

MakeFolder = Callable[..., Path]
MASK = np.zeros((2, 2), np.uint8)


def test_images_and_masks_by_split(make_folder: MakeFolder):
    layout = camvid_layout(
        make_folder({"train/0001TP_006690": MASK, "val/0016E5_07959": MASK, "test/Seq05VD_f00000": MASK})
    )
    assert layout is not None
    assert {split: [s.id for s in samples] for split, samples in layout.splits.items()} == {
        "train": ["0001TP_006690"],
        "val": ["0016E5_07959"],
        "test": ["Seq05VD_f00000"],
    }


def test_segnets_own_folders(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "test/b": MASK})
    for split in ("train", "test"):
        (root / "images" / split).rename(root / split)
        (root / "masks" / split).rename(root / f"{split}annot")
    layout = camvid_layout(root)
    assert layout is not None
    assert {split: len(samples) for split, samples in layout.splits.items()} == {"train": 1, "test": 1}
    assert "SegNet" in layout.description
    assert looks_like_camvid(root)


def test_the_names_of_its_frames_tell_camvid_from_other_folders(make_folder: MakeFolder):
    assert looks_like_camvid(make_folder({"train/0001TP_006690": MASK}, "camvid"))
    assert not looks_like_camvid(make_folder({"train/0001TP_006690": MASK, "train/mine": MASK}, "mixed"))


def test_a_folder_without_splits_is_not_camvid(make_folder: MakeFolder):
    assert camvid_layout(make_folder({"a": MASK})) is None


def test_the_real_camvid_has_its_367_101_and_233_pairs(camvid_root: Path):
    layout = camvid_layout(camvid_root)
    assert layout is not None
    assert {split: len(samples) for split, samples in layout.splits.items()} == {"train": 367, "val": 101, "test": 233}
    assert layout.problems == ()
    assert looks_like_camvid(camvid_root)


def test_every_frame_of_the_real_camvid_is_in_the_split_that_its_name_says(camvid_root: Path):
    layout = camvid_layout(camvid_root)
    assert layout is not None
    for split, samples in layout.splits.items():
        assert {standard_split(sample.id.rpartition("/")[2]) for sample in samples} == {split}


# Sky, Building, Car, SUVPickupTruck, Child, Void: ids 0, 1, 8, 8, 9 of the 11 classes.
COLORS = [(128, 128, 128), (128, 0, 0), (64, 0, 128), (64, 128, 192), (192, 128, 64), (0, 0, 0)]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Frames of every split as the original ships them; one mask holds only grey colours."""
    images, masks = tmp_path / "701_StillsRaw_full", tmp_path / "LabeledApproved_full"
    images.mkdir()
    masks.mkdir()
    for name in ("0001TP_006690", "0001TP_008550", "0006R0_f00930", "0016E5_07959", "0016E5_08190", "Seq05VD_f00000"):
        Image.fromarray(np.full((1, 6, 3), 7, np.uint8)).save(images / f"{name}.png")
        colors = [COLORS[0], COLORS[5]] * 3 if name == "0001TP_006690" else COLORS
        Image.fromarray(np.array([colors], np.uint8)).save(masks / f"{name}_L.png")
    return tmp_path


def test_the_original_opens_with_11_classes_in_the_usual_splits(original: Path):
    dataset = open_dataset(Data(), original)
    assert (dataset.name, dataset.classes) == ("camvid", CAMVID.names)
    assert {split: [s.id for s in samples] for split, samples in dataset.splits.items()} == {
        "train": ["0001TP_006690", "0006R0_f00930", "0016E5_08190"],
        "val": ["0016E5_07959"],
        "test": ["0001TP_008550", "Seq05VD_f00000"],
    }
    assert read_pair(dataset.samples("val")[0], dataset)[1].tolist() == [[0, 1, 8, 8, 9, 255]]
    assert read_pair(dataset.samples("train")[0], dataset)[1].tolist() == [[0, 255, 0, 255, 0, 255]]
    assert open_dataset(settled(Data(), dataset), original) == dataset


def test_the_original_opens_with_all_its_labels(original: Path):
    dataset = open_dataset(Data(dataset="camvid32"), original)
    assert len(dataset.classes) == 31
    labels = read_pair(dataset.samples("val")[0], dataset)[1][0]
    names = [dataset.classes[i] for i in labels[:-1]]
    assert names == ["Sky", "Building", "Car", "SUVPickupTruck", "Child"]
    assert labels[-1] == 255


def test_the_original_may_come_in_folders_of_splits(original: Path):
    for split, frame in (("train", "0001TP_006690"), ("val", "0016E5_07959")):
        for folder, source, ending in (("", "701_StillsRaw_full", ""), ("_labels", "LabeledApproved_full", "_L")):
            (original / f"{split}{folder}").mkdir()
            name = f"{frame}{ending}.png"
            (original / source / name).rename(original / f"{split}{folder}" / name)
    dataset = open_dataset(Data(dataset="camvid32"), original)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "val": 1}


def frames(*names: str) -> dict[str, tuple[Sample, ...]]:
    return {"train": tuple(Sample(name, Path(name), Path(name)) for name in names), "test": ()}


def names_of(split: tuple[Sample, ...]) -> list[str]:
    return [sample.id for sample in split]


def test_one_drive_is_held_out_or_the_end_of_every_drive():
    # Ten frames of 0016E5: the last two are 15 %, rounded; the two before lie within 60 frames of them.
    drive = [f"0016E5_{number:05d}" for number in range(0, 300, 30)]
    found = development_divisions(frames("0006R0_f00930", "0006R0_f01000", *drive))

    assert list(found) == ["drive-train", "block-train"]
    assert {name: names_of(split) for name, split in found["drive-train"].items()} == {
        "drive-train": drive,
        "drive-dev": ["0006R0_f00930", "0006R0_f01000"],
        "test": [],
    }
    assert names_of(found["block-train"]["block-dev"]) == ["0006R0_f01000", "0016E5_00240", "0016E5_00270"]
    assert names_of(found["block-train"]["block-train"]) == ["0006R0_f00930", *drive[:6]]


def test_a_division_needs_frames_for_both_of_its_parts():
    assert development_divisions(frames("0016E5_00000", "0016E5_00030")) == {}
    assert list(development_divisions(frames("0016E5_00000", "0016E5_00090"))) == ["block-train"]
    assert development_divisions(frames("0006R0_f00930", "0016E5_00000", "mine")) == {}
    assert development_divisions({}) == {}


def test_the_development_splits_of_the_real_camvid(camvid_root: Path):
    def sizes(split: str) -> dict[str, int]:
        splits = open_dataset(Data(dataset="camvid", train_split=split), camvid_root).splits
        return {name: len(samples) for name, samples in splits.items()}

    assert sizes("drive-train") == {"drive-train": 266, "drive-dev": 101, "val": 101, "test": 233}
    assert sizes("block-train") == {"block-train": 306, "block-dev": 55, "val": 101, "test": 233}
    assert sizes("train+val") == {"train+val": 468, "test": 233}


def test_the_original_has_the_development_splits_too(original: Path):
    dataset = open_dataset(Data(dataset="camvid", train_split="drive-train"), original)
    assert names_of(dataset.samples("drive-train")) == ["0001TP_006690", "0016E5_08190"]
    assert names_of(dataset.samples("drive-dev")) == ["0006R0_f00930"]


@pytest.mark.heavy
def test_segnets_layout_has_the_development_splits_too(tmp_path: Path):
    root = write_miniature("camvid", tmp_path / "camvid", (6, 1))
    dataset = open_dataset(Data(train_split="drive-train"), root)
    assert {name: len(samples) for name, samples in dataset.splits.items()} == {
        "drive-train": 4,
        "drive-dev": 2,
        "val": 1,
        "test": 1,
    }
