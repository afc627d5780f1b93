from collections.abc import Callable
from pathlib import Path

import numpy as np

from pixelwise.datasets.camvid import camvid_layout, looks_like_camvid

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
