from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_data import write_tar

from pixelwise.datasets.shards.foreign.containers import Containers
from pixelwise.datasets.shards.foreign.fields import Fields
from pixelwise.datasets.shards.foreign.webdataset import pictures_of
from pixelwise.storage.stores.remote import Version
from pixelwise.storage.stores.store import FolderStore


@pytest.fixture
def found(tmp_path: Path, own_cache: Path) -> Callable[..., list[tuple[str, str, bool]]]:
    def of(*names: str, mask: str | None = None) -> list[tuple[str, str, bool]]:
        path = write_tar(tmp_path / "x.tar", {name: name.encode() for name in names})
        versions = {"x.tar": Version(path.stat().st_size, repr(names))}
        containers = Containers("tar", tmp_path, FolderStore(tmp_path), versions, "")
        pictures, _ = pictures_of(containers, {"x.tar": "train"}, Fields(None, mask), labelled=True)
        content = path.read_bytes()
        for one in pictures:
            place = one.placed
            assert content[place.offset : place.offset + place.size].decode().endswith(place.name[-4:])
        return [(one.key, one.placed.name, one.is_mask) for one in pictures]

    return of


def test_the_name_up_to_the_first_dot_is_the_key(found: Callable[..., object]):
    assert found("./a/1.jpg", "./a/1.mask.png", "./a/1.cls", "b.v2.jpg", ".x.jpg", "__MACOSX/a/1.jpg", "a/1.json") == [
        ("a/1", "a/1.jpg", False), ("a/1", "a/1.mask.png", True),
    ]  # fmt: skip


@pytest.mark.parametrize("mask", ["mask.png", "seg.png", "label.png", "annotation.tif", "gt.png", "png", "mask.npy"])
def test_the_usual_names_of_masks(found: Callable[..., object], mask: str):
    assert found("1.jpg", f"1.{mask}", "2.JPEG", f"2.{mask}") == [
        ("1", "1.jpg", False), ("1", f"1.{mask}", True), ("2", "2.JPEG", False), ("2", f"2.{mask}", True),
    ]  # fmt: skip


def test_tars_of_folders(found: Callable[..., object]):
    assert found("set/images/1.png", "set/masks/1.png") == [
        ("set/1", "set/images/1.png", False), ("set/1", "set/masks/1.png", True),
    ]  # fmt: skip


def test_a_field_may_be_named_with_its_extension(found: Callable[..., object]):
    names = ("1.jpg", "1.mask.png", "1.instance.png")
    assert found(*names, mask="instance.png") == [("1", "1.jpg", False), ("1", "1.instance.png", True)]
    assert found(*names, mask="instance") == found(*names, mask="instance.png")


def test_names_that_lead_elsewhere_stay_here(found: Callable[..., object]):
    assert found("../../a.jpg", "/../a.mask.png", "b:\\c.jpg", "b:\\c.mask.png")[0][:2] == ("a", "a.jpg")
