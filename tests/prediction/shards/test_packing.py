from __future__ import annotations

import tarfile
from pathlib import Path

from pixelwise.prediction.shards.packing import Packer


def put(folder: Path, name: str, content: bytes) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return name


def test_files_are_named_by_key_and_role_and_found_by_their_places(tmp_path: Path):
    packer = Packer(tmp_path)
    first = packer.add(
        "day/a", [put(tmp_path, "masks/day/a.png", b"mask"), put(tmp_path, "overlays/day/a.jpg", b"jpg")]
    )
    second = packer.add("b", [put(tmp_path, "masks/b.tif", b"tiff"), put(tmp_path, "polygons/b.geojson", b"{}")])
    packed = packer.finish()
    assert packed is not None
    assert packed.size == packed.file.stat().st_size
    content = packed.file.read_bytes()
    with tarfile.open(packed.file) as opened:
        assert opened.getnames() == ["day/a.mask.png", "day/a.overlay.jpg", "b.mask.tif", "b.polygons.geojson"]
    found = {one.name: content[one.offset : one.offset + one.size] for one in (*first.values(), *second.values())}
    assert found == {
        "day/a.mask.png": b"mask", "day/a.overlay.jpg": b"jpg", "b.mask.tif": b"tiff", "b.polygons.geojson": b"{}",
    }  # fmt: skip
    assert list(first) == ["mask.png", "overlay.jpg"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [packed.file]


def test_masks_of_classes_have_their_ids(tmp_path: Path):
    packer = Packer(tmp_path, ("road", "a/b"))
    files = [put(tmp_path, f"masks/{folder}/x.png", folder.encode()) for folder in ("road", "a_b")]
    assert list(packer.add("x", files)) == ["mask.0.png", "mask.1.png"]
    packer.abandon()


def test_the_mark_changes_with_the_content_alone(tmp_path: Path):
    marks = []
    for content in (b"one", b"one", b"two"):
        folder = tmp_path / str(len(marks))
        packer = Packer(folder)
        packer.add("a", [put(folder, "masks/a.png", content)])
        packed = packer.finish()
        assert packed is not None
        marks.append(packed.mark)
    assert marks[0] == marks[1] != marks[2]
    assert Packer(tmp_path).finish() is None
