import json
from pathlib import Path

import pytest
from editing import CLASSES, edited_data

from pixelwise.pages.fixing import listing
from pixelwise.pages.fixing.collection import Collection


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return Collection([edited_data(tmp_path / "data")])


def test_long_lists_have_pages(collection: Collection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "PAGE", 2)
    first, last = (listing.list_values(collection, {"first": number}, True) for number in ("x", "3"))
    assert [(one["before"], one["after"], len(one["images"]), one["number"]) for one in (first, last)] == [
        (None, 2, 2, 3),
        (None, 2, 2, 3),  # a first image that does not exist
    ]
    assert listing.list_values(collection, {"first": "2"}, True)["before"] == 0


def test_images_that_are_not_in_the_queue_come_last(collection: Collection):
    folder = collection.folders[0]
    assert listing.order_of(folder, "queue") == "file"
    (folder.root / "queue.json").write_text(json.dumps({"images": [{"image": "images/val/c.png"}]}))
    assert [listing.order_of(folder, asked) for asked in ("", "queue", "file", "other")] == [
        "queue",
        "queue",
        "file",
        "queue",
    ]
    assert [item.name for item in listing.in_order(folder, "queue")] == ["val/c", "train/a", "train/b"]
    item = listing.in_order(folder, "queue")[1]
    values = listing.image_values(folder, item, "", True)
    assert (values["rank"], values["number"], values["order"]) == (2, 3, "queue")
    assert [name for _, name, _ in values["classes"]] == [*CLASSES, "ignored"]
    assert values["eraser"] == 255


def test_images_without_a_mask_keep_their_places_while_they_are_labelled(collection: Collection):
    folder = collection.folders[0]
    (folder.root / "masks/train/b.png").unlink()
    assert listing.orders_of(folder) == {"unlabelled": "without a mask first", "file": "file names"}
    names = [item.name for item in listing.in_order(folder, listing.order_of(folder, ""))]
    assert names == ["train/b", "train/a", "val/c"]
    (folder.root / "queue.json").write_text(json.dumps({"images": [{"image": "images/val/c.png"}]}))
    assert [item.name for item in listing.in_order(folder, "queue")] == ["val/c", "train/b", "train/a"]
    (folder.root / "queue.json").write_text(json.dumps({"images": [{"image": "images/train/b.png"}]}))
    item = listing.in_order(folder, "queue")[0]
    assert (item.name, listing.image_values(folder, item, "", True)["unlabelled"]) == ("train/b", "masks/train/b.png")
    values = listing.list_values(collection, {}, True)
    assert (values["number"], values["without"], values["images"][0][1:]) == (3, 1, ("train/b", True))
    (folder.root / "masks/train/b.png").write_bytes(b"")
    values = listing.list_values(collection, {"order": "unlabelled"}, True)
    assert (values["without"], values["images"][0][1:]) == (0, ("train/b", False))
    assert listing.image_values(folder, item, "", True)["unlabelled"] == ""
