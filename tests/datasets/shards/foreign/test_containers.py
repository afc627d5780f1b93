import os
from pathlib import Path

import pytest
from foreign_data import write_tar
from serving import serving

from pixelwise.datasets.shards.foreign.containers import find_containers, holds_containers
from pixelwise.errors import DataError
from pixelwise.storage.stores.addresses import place_of


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("b.tar", "a.tar", "notes.txt", ".c.tar"), ["a.tar", "b.tar"]),
        (("data/train-0.parquet", "data/test-0.parquet", "README.md"), ["data/test-0.parquet", "data/train-0.parquet"]),
        (("train/x.parquet", "val/x.parquet"), ["train/x.parquet", "val/x.parquet"]),
        (("train/data-0.arrow", "train/state.json"), ["train/data-0.arrow"]),
    ],
)
def test_the_files_of_a_folder(tmp_path: Path, names: tuple[str, ...], expected: list[str]):
    found = find_containers(touched(tmp_path, *names))
    assert found is not None
    assert (list(found.versions), found.base) == (expected, tmp_path)
    assert holds_containers(tmp_path)


def test_archives_beside_images_are_not_the_data(tmp_path: Path):
    assert not holds_containers(touched(tmp_path, "images.tar", "images/train/1.jpg"))
    assert not holds_containers(touched(tmp_path / "empty", "a.txt"))
    assert find_containers(tmp_path / "empty") is None


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a.tar", "b.parquet"), "Parquet files and tars"),
        (("small/train-0.parquet", "large/train-0.parquet"), "2 data sets"),
    ],
)
def test_several_data_sets_are_refused(tmp_path: Path, names: tuple[str, ...], said: str):
    with pytest.raises(DataError, match=said) as caught:
        find_containers(touched(tmp_path, *names))
    assert caught.value.code == "D222"


def test_compressed_tars_are_refused_with_a_way_out(tmp_path: Path):
    assert holds_containers(touched(tmp_path, "a.tar.gz"))
    for place in (tmp_path, tmp_path / "a.tar.gz"):
        with pytest.raises(DataError, match="gzip") as caught:
            find_containers(place)
        assert caught.value.code == "D273"
        assert "gunzip" in caught.value.help


def test_files_may_be_named(tmp_path: Path):
    touched(tmp_path, "a/train-0.tar", "a/train-1.tar", "a/val-0.tar", "a/dataset.toml")
    one = find_containers(tmp_path / "a/val-0.tar")
    several = find_containers(tmp_path / "{a,a}" / "train-{0..1}.tar")
    assert one is not None
    assert several is not None
    assert (list(one.versions), one.base, bool(one.description)) == (["val-0.tar"], tmp_path / "a", True)
    assert (list(several.versions), several.base) == (["a/train-0.tar", "a/train-1.tar"], tmp_path)
    with pytest.raises(DataError, match=r"train-2\.tar: does not exist") as caught:
        find_containers(tmp_path / "a" / "train-{0..2}.tar")
    assert caught.value.code == "D222"


def test_versions_change_with_the_files(tmp_path: Path):
    touched(tmp_path, "a.tar")
    before = find_containers(tmp_path)
    os.utime(tmp_path / "a.tar", (1, 1))
    after = find_containers(tmp_path)
    assert before is not None
    assert after is not None
    assert before.versions != after.versions


def test_servers_do_not_list_files_but_have_them(tmp_path: Path):
    pytest.importorskip("obstore")
    write_tar(tmp_path / "train-0.tar", {"a.png": b"1"})
    with serving(tmp_path) as server:
        server.query = "sig=secret"
        found = find_containers(place_of(f"{server.address}/train-{{0..0}}.tar?{server.query}"))
        assert found is not None
        assert found.store.read("train-0.tar", 0, 5) == b"a.png"
        with pytest.raises(DataError, match="do not list") as caught:
            find_containers(place_of(f"{server.address}?{server.query}"))
    assert caught.value.code == "D222"
    assert "train-{000000..000009}.tar" in caught.value.help
    assert "secret" not in str(caught.value)
