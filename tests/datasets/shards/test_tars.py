import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixelwise.datasets.shards.index import Placed
from pixelwise.datasets.shards.tars import TarWriter, header_problem, member_names, webdataset_keys


def webdataset_split(name: str) -> tuple[str, str]:
    """Key and extension as WebDataset's `base_plus_ext` takes them apart: at the first dot after the last slash."""
    folder, slash, last = name.rpartition("/")
    key, _, extension = last.partition(".")
    return folder + slash + key, extension


def test_what_is_written_is_a_tar_for_others(tmp_path: Path):
    writer = TarWriter(tmp_path, 10**6)
    contents = {"a/1.jpg": b"x" * 700, "a/1.mask.png": b"", "ü/" + "long" * 60 + ".jpg": b"z" * 512}
    number, placed = writer.add("train", [*contents.items(), None])
    writer.close()
    assert number == 0
    assert placed[3] is None
    assert [(one.name, one.size) for one in writer.shards] == [("train-000000.tar", 10240)]
    path = tmp_path / "train-000000.tar"
    assert path.stat().st_size == 10240
    with tarfile.open(path) as tar:
        assert tar.getnames() == list(contents)
        assert {info.name: info.offset_data for info in tar} == {one.name: one.offset for one in placed if one}
        for info in tar:
            file = tar.extractfile(info)
            assert file is not None
            assert file.read() == contents[info.name]
            assert (info.mtime, info.uid, info.gid, info.mode, info.uname) == (0, 0, 0, 0o644, "")
    raw = path.read_bytes()
    for one in placed[:3]:
        assert one is not None
        assert raw[one.offset : one.offset + one.size] == contents[one.name]
        assert one.sha256 == hashlib.sha256(contents[one.name]).digest()


def test_a_tar_ends_before_it_is_too_large_and_with_its_split(tmp_path: Path):
    writer = TarWriter(tmp_path, 5000)
    sizes = [("train", 1000)] * 5 + [("val", 9000), ("val", 10)]
    numbers = [writer.add(split, [(f"{n}.jpg", b"x" * size)])[0] for n, (split, size) in enumerate(sizes)]
    writer.close()
    assert numbers == [0, 0, 0, 1, 1, 2, 3]
    assert [one.name for one in writer.shards] == [
        "train-000000.tar", "train-000001.tar", "val-000000.tar", "val-000001.tar",
    ]  # fmt: skip
    assert [(tmp_path / one.name).stat().st_size for one in writer.shards] == [one.size for one in writer.shards]


def test_the_files_of_a_sample_share_what_webdataset_takes_for_its_key():
    keys = webdataset_keys(["a.b/c.d", "a.b/c_d", "a.b/C_D", "x"])
    assert len({key.lower() for key in keys}) == 4
    for key in keys:
        names = member_names(key, Path("in.JPEG"), [Path("m.png"), None, Path("i.png")], multilabel=True)
        assert names[2] == ""
        assert [webdataset_split(name) for name in names if name] == [
            (key, "jpeg"), (key, "mask.0.png"), (key, "mask.ignored.png"),
        ]  # fmt: skip
    assert member_names("k", Path("a.jpg"), [Path("a.PNG")], multilabel=False) == ["k.jpg", "k.mask.png"]
    assert member_names("k", Path("a"), [Path("a.weird name")], multilabel=False) == ["k.bin", "k.mask.bin"]


@example(["0./"])
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(lambda one: one.strip("./")), unique=True
    )
)
def test_keys_are_distinct_and_lead_nowhere(ids: list[str]):
    keys = webdataset_keys(ids)
    names = [name for key in keys for name in member_names(key, Path("a.jpg"), [Path("a.png")], multilabel=False)]
    assert len(set(names)) == 2 * len(ids)
    assert all(webdataset_split(name)[0] in keys for name in names)
    assert not any(part in ("", ".", "..") for name in names for part in name.split("/"))


@pytest.mark.parametrize("name", ["a.jpg", "ü.jpg", "n" * 300 + ".jpg"])
def test_headers_are_compared_with_the_index(tmp_path: Path, name: str):
    writer = TarWriter(tmp_path, 10**6)
    _, (placed,) = writer.add("train", [(name, b"content")])
    writer.close()
    assert placed is not None
    block = (tmp_path / "train-000000.tar").read_bytes()[placed.offset - 512 : placed.offset]
    assert header_problem(block, placed) == ""
    assert "another file" in header_problem(block, placed._replace(size=8))
    assert "no tar header" in header_problem(block[:-1] + b"x", placed)
    assert "no tar header" in header_problem(b"", placed)
    if len(name) == 5 and name.isascii():
        assert "another name" in header_problem(block, placed._replace(name="b.jpg"))


def test_the_header_of_a_folder_is_not_that_of_a_file():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("a.jpg")
        info.type = tarfile.SYMTYPE
        info.linkname = "/etc/passwd"
        tar.addfile(info)
    assert "another file" in header_problem(buffer.getvalue()[:512], Placed("a.jpg", 512, 0, bytes(32)))
