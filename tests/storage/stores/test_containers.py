from pathlib import Path

import pytest

from pixelwise.storage.stores.containers import compression_of, container_kind, names_containers


@pytest.mark.parametrize(
    ("name", "kind", "packed"),
    [
        ("a.tar", "tar", ""),
        ("data/A.TAR", "tar", ""),
        ("train-00000-of-00005.parquet", "parquet", ""),
        ("data.arrow", "arrow", ""),
        ("a.tar.gz", None, "gzip"),
        ("a.TGZ", None, "gzip"),
        ("a.tar.zst", None, "zstd"),
        ("a.nii.gz", None, ""),
        ("a.jpg", None, ""),
    ],
)
def test_names_tell_the_kind(name: str, kind: str | None, packed: str):
    assert (container_kind(name), compression_of(name)) == (kind, packed)


def test_folders_are_not_named_one_by_one(tmp_path: Path):
    (tmp_path / "a.tar").mkdir()
    assert not names_containers(tmp_path / "a.tar")
    assert names_containers(tmp_path / "b.tar")
    assert names_containers(Path("s3://bucket/x/{train,val}.parquet"))
    assert names_containers(tmp_path / "b.tar.gz")
    assert not names_containers(Path("s3://bucket/x"))
