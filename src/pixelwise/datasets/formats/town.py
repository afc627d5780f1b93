"""The synthetic town as a data set: in a folder of its own, or drawn into the cache folder on first use."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.datasets.format import Format, Miniature, Scenes, register
from pixelwise.datasets.formats.published.camvid import camvid_layout
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.town.scenes import cached_town
from pixelwise.recipes.class_sets.tables import CAMVID


def town_layout(root: Path) -> Layout | None:
    """The layout of the town in `root`, or None if there is none."""
    layout = camvid_layout(root)
    if layout is None:
        return None
    described = "synthetic town: images/{split}/ with masks/{split}/"
    return msgspec.structs.replace(layout, name="town", description=described, divisions={})


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            write_image(root / "images" / split / f"{number:04d}.png", scene.image)
            write_image(root / "masks" / split / f"{number:04d}.png", scenes.mask(scene))


register(
    Format(
        name="town",
        title="synthetic town, CamVid's 11 classes",
        expected="images/{split}/ with masks/{split}/",
        layout=town_layout,
        classes=CAMVID,
        generate=cached_town,
        miniature=Miniature(write=_write, size=(144, 192), splits=("train", "val", "test")),
    )
)
