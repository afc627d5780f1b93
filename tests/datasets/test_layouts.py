from pathlib import Path

from pixelwise.datasets.layouts import in_order, split_folders


def test_folders_of_splits_are_known_by_their_usual_names(tmp_path: Path):
    for name in ("Train", "validation", "testing", "extra"):
        (tmp_path / name).mkdir()
    assert {split: path.name for split, path in split_folders(tmp_path).items()} == {
        "train": "Train",
        "val": "validation",
        "test": "testing",
    }


def test_splits_come_as_train_val_test_then_by_name():
    assert list(in_order({"zoo": (), "test": (), "all": (), "val": (), "train": ()})) == [
        "train",
        "val",
        "test",
        "all",
        "zoo",
    ]
