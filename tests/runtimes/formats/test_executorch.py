from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.runtimes.formats.executorch import TARGET, open_engine


def test_it_takes_one_size_and_one_scheme_alone() -> None:
    assert not TARGET.any_size
    assert TARGET.schemes == ("xnnpack-8bit",)
    assert TARGET.quantizer == ""


def test_without_the_package_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "executorch", None)
    with pytest.raises(RecipeError) as caught:
        open_engine(tmp_path / "model.pte", None)
    assert caught.value.code == "R240"
    assert "pixelwise[edge]" in caught.value.help
