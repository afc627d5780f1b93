from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.runtimes.formats.litert import TARGET, check, open_engine


def test_it_takes_one_size_in_bytes_or_floats() -> None:
    assert not TARGET.any_size
    assert TARGET.byte_arrays
    assert TARGET.quantizer == ""
    assert TARGET.refusal() == ""


def test_without_the_package_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(RecipeError) as caught:
        open_engine(tmp_path / "model.tflite", None)
    assert caught.value.code == "R240"
    assert "pixelwise[litert]" in caught.value.help


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"\x20\x00\x00\x00TFL3")
    assert check(file, ()) == ""
    for other in (b"", b"\x20\x00\x00\x00ORTM", b"PK\x03\x04"):
        file.write_bytes(other)
        assert "not a LiteRT file" in check(file, ())
