import errno
import os
from pathlib import Path

import pytest

from pixelwise.datasets.reading.files import errors_explained, open_regular
from pixelwise.errors import DataError
from pixelwise.storage.stores.members import in_memory


def code_of(path: Path) -> str:
    with pytest.raises(DataError) as caught, open_regular(path) as stream:
        stream.read()
    return caught.value.code


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a feature of POSIX")
def test_what_is_no_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert code_of(tmp_path / "pipe.png") == "D131"


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "D131"
    assert code_of(tmp_path / "missing.png") == "D131"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (MemoryError(), "D151"),
        (OSError(errno.EIO, "Input/output error"), "D131"),
        (KeyError("x"), "D101"),
        (DataError("D104", "too large", "crop it"), "D104"),
    ],
)
def test_whatever_a_decoder_raises_has_a_code(tmp_path: Path, raised: Exception, code: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"abc")
    with pytest.raises(DataError) as caught, errors_explained(path, "damaged array"):
        raise raised
    assert caught.value.code == code
    if code == "D101":
        assert "a.npy: damaged array (3 bytes)" in caught.value.message


def test_parts_of_a_small_file_in_a_shard_are_those_of_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"content")
    for path in (tmp_path / "a.tif", in_memory(tmp_path / "b.tif", b"content")):
        with open_regular(path, in_parts=True) as stream:
            assert (stream.seek(3), stream.read()) == (3, b"tent")
    with pytest.raises(DataError) as caught, open_regular(tmp_path / "missing.tif", in_parts=True):
        pass
    assert caught.value.code == "D131"
