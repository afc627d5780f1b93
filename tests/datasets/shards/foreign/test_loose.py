from pathlib import Path

import pytest
from hub_server import hub_of

from pixelwise.datasets.shards.foreign.loose import image_at, images_below, is_image_address
from pixelwise.errors import DataError
from pixelwise.storage.stores import remote
from pixelwise.storage.stores.addresses import place_of

pytest.importorskip("obstore")


@pytest.mark.parametrize(
    ("place", "expected"), [("s3://b/a.JPG", True), ("s3://b/a", False), ("s3://b/a.tar", False), ("a.jpg", False)]
)
def test_addresses_of_images(place: str, expected: bool):
    assert is_image_address(place_of(place)) == expected


def test_images_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("b.png", "a/c.jpg", ".hidden/d.jpg", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    with hub_of(tmp_path) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        remote._opened.cache_clear()
        root = place_of("hf://datasets/owner/name")
        images = images_below(root)
        assert images is not None
        assert [image.relative_to(root).as_posix() for image in images] == ["a/c.jpg", "b.png"]
        assert [image.read_bytes() for image in images] == [b"a/c.jpg", b"b.png"]
        assert image_at(root / "b.png").read_bytes() == b"b.png"
        with pytest.raises(DataError, match=r"x\.png") as caught:
            image_at(root / "x.png")
        assert caught.value.code == "D223"
        (tmp_path / "x.tar").write_bytes(b"")
        remote._opened.cache_clear()
        assert images_below(root) is None
        remote._opened.cache_clear()
        (tmp_path / "x.tar").unlink()
        hub.private = True
        with pytest.raises(DataError, match="HF_TOKEN") as caught:
            images_below(root)
        assert caught.value.code == "D272"
    remote._opened.cache_clear()


def test_folders_of_this_machine_and_servers_are_not_listed(tmp_path: Path):
    assert images_below(tmp_path) is None
    assert images_below(place_of("https://example.org/photos")) is None
