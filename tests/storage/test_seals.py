import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.storage.locks import LOCK
from pixelwise.storage.seals import SEAL, is_intact, seal, sealed_bytes, sealed_json, unsealed_bytes, unsealed_json


@given(st.binary(max_size=50), st.data())
def test_any_change_of_a_byte_is_noticed(content: bytes, data: st.DataObject):
    sealed = sealed_bytes(content)
    assert sealed == hashlib.sha256(content).digest() + content
    assert unsealed_bytes(sealed) == content
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[place] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(changed), sealed[:place], sealed + b"\0"):
        with pytest.raises(ValueError, match="checksum"):
            unsealed_bytes(damaged)


@given(
    st.dictionaries(
        st.text(max_size=5), st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    )
)
def test_a_value_survives_json(value: dict):
    text = sealed_json(value)
    assert json.loads(text)["value"] == value
    assert json.loads(unsealed_json(text.encode())) == value


@pytest.mark.parametrize("change", [("12", "13"), ('"value"', '"valve"'), ("}", ""), ("{", "[1,{"), ("sha256", "sha1")])
def test_a_changed_value_is_noticed(change: tuple[str, str]):
    text = sealed_json({"macs": 12})
    assert unsealed_json(text.encode()) == b'{"macs":12}'
    with pytest.raises(ValueError, match=r"\w"):
        unsealed_json(text.replace(*change, 1).encode())


def damage(folder: Path, how: str) -> None:
    file = folder / "deep" / "b.bin"
    content = file.read_bytes()
    match how:
        case "flip":
            file.write_bytes(content[:10] + bytes([content[10] ^ 1]) + content[11:])
        case "cut":
            file.write_bytes(content[:-1])
        case "gone":
            file.unlink()
        case "more":
            (folder / "c.bin").write_bytes(b"c")
        case "folder":
            file.unlink()
            file.mkdir()
        case "pipe":
            file.unlink()
            os.mkfifo(file)
        case "no seal":
            (folder / SEAL).unlink()
        case "seal":
            (folder / SEAL).write_bytes((folder / SEAL).read_bytes()[:-1] + b"\0")
        case "all":
            shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "more", "folder", "pipe", "no seal", "seal", "all"])
def test_a_damaged_folder_is_noticed(tmp_path: Path, how: str):
    folder = tmp_path / "entry"
    (folder / "deep").mkdir(parents=True)
    (folder / os.fsdecode(b"\xff")).write_bytes(b"")
    (folder / "deep" / "b.bin").write_bytes(bytes(range(100)))
    seal(folder)
    (folder / LOCK).touch()
    assert is_intact(folder)
    damage(folder, how)
    assert not is_intact(folder)
    assert is_intact(folder, sizes_only=True) == (how == "flip")
