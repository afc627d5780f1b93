"""Mapillary Vistas (Neuhold et al., ICCV 2017) in the layout of its archives, versions 1.1, 1.2 and 2.0.

    config_v2.0.json    training/images/     training/v2.0/labels/     validation/...     testing/images/
    config_v1.2.json                         training/v1.2/labels/
    config.json                              training/labels/          version 1.1

Masks are palette PNG files whose values are positions in the `labels` of the version's configuration. Classes that it
marks with `"evaluate": false` are ignored, as in the official score. One archive holds versions 1.2 and 2.0: the format
`mapillary` reads the newest, `mapillary-v1` the older one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.format import PUBLIC, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import subfolders
from pixelwise.datasets.layouts.matching import match_folders
from pixelwise.datasets.layouts.words import split_folders
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE, voc_color
from pixelwise.storage import json_text, write_text
from pixelwise.storage.documents import DocumentError, peek, read_json

_NEWEST, _OLDER = "v2.0", "v1.2"
_FOLDERS = {_NEWEST: (_NEWEST, "labels"), _OLDER: (_OLDER, "labels"), "v1.1": ("labels",)}
"""Version -> folder of the masks, below that of a split."""
_CONFIGURATIONS = {_NEWEST: "config_v2.0.json", _OLDER: "config_v1.2.json", "v1.1": "config.json"}


class _Label(msgspec.Struct):
    name: str
    color: tuple[int, int, int]
    evaluate: bool = True


class _Configuration(msgspec.Struct):
    labels: list[_Label]


def mapillary_layout(root: Path, versions: Mapping[str, str] = _CONFIGURATIONS) -> Layout | None:
    """The layout of `root`, or None if it holds no masks of one of the versions, of which the first one is read.

    Args:
        root: Folder of the data set.
        versions: Version -> name of its configuration.

    Raises:
        DataError: D230, the configuration is missing or cannot be read.
    """
    version = _version(root, versions)
    if version is None:
        return None
    file = root / versions[version]
    try:
        labels = read_json(file, _Configuration).labels
    except DocumentError as error:
        help = "copy it from the archive of Mapillary Vistas into this folder: it names the values of the masks"
        raise DataError("D230", error.message, help) from error
    kept = [number for number, label in enumerate(labels) if label.evaluate]
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for split, folder in split_folders(root).items():
        inner = subfolders(folder)
        if "images" in inner:
            splits[split], found = match_folders(split, inner["images"], folder.joinpath(*_FOLDERS[version]))
            problems += found
    of_value = dict.fromkeys(range(len(labels)), IGNORE)
    of_value |= {number: class_id for class_id, number in enumerate(kept)}
    left_out = len(labels) - len(kept)
    return Layout(
        name="mapillary",
        description=f"Mapillary Vistas {version}: images/ with {'/'.join(_FOLDERS[version])}/, {len(kept)} classes; "
        f"{left_out} that the official score leaves out are ignored",
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
        classes=tuple(labels[number].name for number in kept),
        palette=tuple(labels[number].color for number in kept),
        label_map={**of_value, IGNORE: of_value.get(IGNORE, IGNORE)},
    )


def _version(root: Path, versions: Mapping[str, str]) -> str | None:
    training = split_folders(root).get("train")
    if training is None or "images" not in subfolders(training):
        return None
    return next((name for name in versions if training.joinpath(*_FOLDERS[name]).is_dir()), None)


def _looks_like_mapillary(root: Path) -> bool:
    version = _version(root, _CONFIGURATIONS)
    # `training/labels` alone is anybody's.
    return version is not None and (version != "v1.1" or b'"evaluate"' in peek(root / _CONFIGURATIONS[version], 2**20))


def _write(root: Path, scenes: Scenes, version: str) -> None:
    colors = [voc_color(number) for number in range(256)]
    labels = [
        {"name": name, "readable": name.title(), "instances": False, "evaluate": True, "color": colors[number]}
        for number, name in enumerate(scenes.classes)
    ]
    unlabelled = {"name": "void--unlabeled", "readable": "Unlabeled", "instances": False, "evaluate": False}
    content = {"version": version, "labels": [*labels, unlabelled | {"color": (0, 0, 0)}]}
    write_text(root / _CONFIGURATIONS[version], json_text(content))
    for split, members in scenes.splits.items():
        folder = root / {"train": "training", "val": "validation"}.get(split, "testing")
        for number, scene in enumerate(members):
            write_image(folder / "images" / f"{number:022d}.jpg", scene.image)
            values = scene.labels.copy()
            values[values == IGNORE] = len(labels)
            path = folder.joinpath(*_FOLDERS[version], f"{number:022d}.png")
            write_image(path, values, [*colors[: len(labels)], (0, 0, 0)])


register(
    Format(
        name="mapillary",
        title="Mapillary Vistas",
        expected="config_v2.0.json, training/images/ and training/v2.0/labels/ (or those of versions 1.2 and 1.1)",
        layout=mapillary_layout,
        recognise=_looks_like_mapillary,
        priority=PUBLIC,
        miniature=Miniature(write=partial(_write, version=_NEWEST)),
    )
)
register(
    Format(
        name="mapillary-v1",
        title="Mapillary Vistas 1.2",
        expected="config_v1.2.json, training/images/ and training/v1.2/labels/",
        layout=partial(mapillary_layout, versions={_OLDER: _CONFIGURATIONS[_OLDER]}),
        miniature=Miniature(write=partial(_write, version=_OLDER)),
    )
)
