"""The town as a data set: in its own folder, or drawn into the cache at the first use."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.datasets.formats.camvid import camvid_layout
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.town.scenes import VERSION, write_town
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import cache_folder, printable, sha256_bytes


def town_layout(data: Data, root: Path | None) -> Layout:
    """The files of the town in `root`; without a root, of the one in the user's cache folder.

    The cached town is drawn at the first use of its options.

    Raises:
        DataError: D222, `root` holds no town.
    """
    if root is None:
        options = msgspec.json.encode((VERSION, data.town_images, data.town_size, data.town_seed))
        root = cache_folder() / f"town-{sha256_bytes(options)[:16]}"
        if not root.is_dir():
            try:
                write_town(root, data)
            except OSError:
                # Another process may have finished the same town first; only a complete one exists.
                if not root.is_dir():
                    raise
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
