import importlib
import sys
from pathlib import Path

import pytest

PACKAGE = """
from pixelwise.lazy_names import lazy_names
__getattr__ = lazy_names(__name__, {"area": "lazy_shapes.square", "side": "lazy_shapes.square:edge"})
"""


def test_names_are_imported_when_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "lazy_shapes").mkdir()
    (tmp_path / "lazy_shapes" / "__init__.py").write_text(PACKAGE, "utf-8")
    (tmp_path / "lazy_shapes" / "square.py").write_text("area, edge = 9, 3\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    shapes = importlib.import_module("lazy_shapes")
    assert "lazy_shapes.square" not in sys.modules
    assert "area" not in vars(shapes)
    assert (shapes.area, shapes.side) == (9, 3)
    assert vars(shapes)["side"] == 3
    with pytest.raises(AttributeError, match=r"'lazy_shapes' .* 'edge'"):
        shapes.edge  # noqa: B018


@pytest.mark.parametrize(
    "package",
    ["pixelwise", *(f"pixelwise.{name}" for name in ("datasets.reading", "metrics", "models", "recipes.schema"))],
)
def test_every_name_that_a_package_offers_exists(package: str):
    module = importlib.import_module(package)
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
