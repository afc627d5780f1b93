"""Small data sets on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.samples import Dataset, Reading


@pytest.fixture
def picture() -> np.ndarray:
    """uint8 (6, 8, 3): every pixel differs from every other."""
    return (np.arange(6 * 8 * 3, dtype=np.uint8) + 17).reshape(6, 8, 3)


@pytest.fixture
def dataset_of() -> Callable[..., Dataset]:
    """A data set without samples, for functions that need its tables only."""

    def make(num_classes: int = 3, table: LabelTable | None = None, reading: Reading | None = None) -> Dataset:
        return Dataset(
            name="folder",
            root=Path("data"),
            classes=tuple(f"class_{i}" for i in range(num_classes)),
            palette=((0, 0, 0),) * num_classes,
            label_table=table or table_of({i: i for i in range(num_classes)}),
            splits={},
            reading=reading or Reading(),
        )

    return make


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this test alone, in which masks are drawn."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
