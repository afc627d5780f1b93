from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch

from pixelwise.checkpoints.files.archives import (
    Several,
    Unread,
    decompressed,
    members_of_tar,
    members_of_zip,
    only_weights_file,
    read_npz,
    read_torch_archive,
)


def zipped(**files: bytes) -> zipfile.ZipFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return zipfile.ZipFile(buffer)


def saved() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_decompressed(compress: Callable[[bytes], bytes]) -> None:
    assert decompressed(io.BytesIO(compress(b"content" * 99))).read() == b"content" * 99


def test_arrays_are_read_by_name_and_objects_are_left_out() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{"a/b": np.arange(3), "o": np.array([{}], dtype=object)})

    found = read_npz(zipfile.ZipFile(buffer))

    assert found is not None
    assert found[0]["a/b"].tolist() == [0, 1, 2]
    assert found[1] == ("'o' holds Python objects and was left out",)
    assert read_npz(zipped(a=b"x")) is None


def test_the_one_weights_file_among_others_is_found() -> None:
    members = members_of_zip(zipped(**{"README.md": b"text", "a/weights.pth": saved(), "__MACOSX/x": b"\x80\x02"}))
    assert only_weights_file(members, "a zip archive").name == "a/weights.pth"
    with pytest.raises(Several, match="one, two"):
        only_weights_file(members_of_zip(zipped(one=saved(), two=saved())), "a zip archive")
    with pytest.raises(Unread, match=r"no weights file in it \(a, b, c, d and 1 more\)"):
        only_weights_file(members_of_zip(zipped(a=b"", b=b"", c=b"", d=b"", e=b"")), "a zip archive")
    with pytest.raises(Unread, match="TensorFlow weights"):
        only_weights_file(members_of_zip(zipped(**{"model.ckpt.index": b"x"})), "a tar archive")


def test_a_file_of_the_oldest_pytorch_is_named() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name))
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive, pytest.raises(Unread, match=r"PyTorch before 0\.2"):
        only_weights_file(members_of_tar(archive), "a tar archive")


def test_only_archives_of_torch_are_read_as_such() -> None:
    buffer = io.BytesIO(saved())
    assert read_torch_archive(zipfile.ZipFile(buffer), buffer) is not None
    assert read_torch_archive(zipped(a=b"x"), io.BytesIO()) is None
    with pytest.raises(Unread, match="Keras"):
        read_torch_archive(zipped(**{"model.weights.h5": b"x"}), io.BytesIO())
