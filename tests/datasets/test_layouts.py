from pixelwise.datasets.layouts import in_order


def test_splits_come_as_train_val_test_then_by_name():
    assert list(in_order({"zoo": (), "test": (), "all": (), "val": (), "train": ()})) == [
        "train",
        "val",
        "test",
        "all",
        "zoo",
    ]
