"""The package that reads and writes Parquet files, which only shards need."""

from __future__ import annotations

from typing import Any

from pixelwise.errors import RecipeError

INSTALL = "pip install 'pixelwise[shards]'"


def parquet() -> tuple[Any, Any, Any]:
    """The modules `pyarrow`, `pyarrow.parquet` and `pyarrow.compute`, imported when they are first needed.

    Raises:
        RecipeError: R240, pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise RecipeError("R240", "data in shards needs pyarrow, which is not installed", INSTALL) from error
    return pyarrow, pyarrow.parquet, pyarrow.compute
