from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.runtimes.packages import require


def test_a_missing_package_is_named_with_what_brings_it() -> None:
    with pytest.raises(RecipeError) as caught:
        require("not_installed_anywhere.part", "running")
    assert caught.value.code == "R240"
    assert "not_installed_anywhere" in caught.value.message
    assert "pip install 'pixelwise[export]'" in caught.value.help


def test_a_package_whose_own_needs_are_missing_names_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "half_there.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(RecipeError, match=r"\bhalf_there\b.* not_installed_anywhere\b") as caught:
        require("half_there", "running", "acme-runtime")
    assert caught.value.code == "R240"
    assert "pip install 'acme-runtime'" in caught.value.help


def test_a_package_that_is_there_is_imported() -> None:
    assert require("onnxruntime", "running").__name__ == "onnxruntime"
