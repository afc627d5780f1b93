"""The town as a data set: in its own folder, or drawn into the cache at the first use."""

from __future__ import annotations

from pathlib import Path

from pixelwise.datasets.formats.camvid import camvid_layout
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.town.scenes import cached_town
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import printable


def town_layout(data: Data, root: Path | None) -> Layout:
    """The files of the town in `root`; without a root, of the one in the user's cache folder.

    The cached town is drawn at the first use of its options.

    Raises:
        DataError: D222, `root` holds no town.
    """
    if root is None:
        root = cached_town(data)
    layout = camvid_layout(root)
    if layout is None:
        raise DataError(
            "D222",
            f"{printable(root)}: no town found; looked for images/{{split}}/ with masks/{{split}}/",
            "leave out --data, and the town is drawn",
        )
    return Layout(
        name="town",
        description="synthetic town: images/{split}/ with masks/{split}/",
        root=root,
        splits=layout.splits,
        problems=layout.problems,
    )
