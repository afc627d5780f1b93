from pathlib import Path

import pytest
from editing import edited_data

from pixelwise.pages.fixing.collection import Collection, Folder
from pixelwise.pages.fixing.masks import Uneditable


def test_images_keep_their_ids(tmp_path: Path):
    data = edited_data(tmp_path / "data")
    first, again = (Folder(data).opened().items for _ in range(2))
    assert [item.name for item in first.values()] == ["train/a", "train/b", "val/c"]
    assert list(first) == list(again)
    found = Collection([Path("town"), data, data / ".." / "data"])
    assert [folder.root for folder in found.folders] == [data]
    folder, item = found.find(next(iter(first))) or (None, None)
    assert (folder, item and item.name) == (found.folders[0], "train/a")
    assert found.find("0" * 16) is None


def test_a_mask_behind_a_linked_folder_is_no_target(tmp_path: Path):
    data = edited_data(tmp_path / "data")
    (data / "masks" / "val").rename(tmp_path / "elsewhere")
    (data / "masks" / "val").symlink_to(tmp_path / "elsewhere")
    folder = Folder(data)
    targets = {item.name: item for item in folder.opened().items.values()}
    assert folder.target(targets["train/a"]).relative == Path("masks/train/a.png")
    with pytest.raises(Uneditable, match="is a link"):
        folder.target(targets["val/c"])
