"""Class names, palettes and label tables of the known data sets.

A label table says what a raw value of a mask file means: `{raw value: class id or IGNORE}`. A raw
value that is not in the table is an error with a file name, never silently ignored.
"""

from __future__ import annotations

import msgspec

IGNORE = 255
Color = tuple[int, int, int]


class ClassSet(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of a data set.

    Attributes:
        names: Class names; the position is the class id.
        palette: One official RGB colour (0..255) per class.
        label_table: Raw mask value -> class id, or `IGNORE`.
        unlabelled_color: RGB of pixels that belong to no class, in colour masks.
    """

    names: tuple[str, ...]
    palette: tuple[Color, ...]
    label_table: dict[int, int]
    unlabelled_color: Color = (0, 0, 0)

    def __post_init__(self) -> None:
        if len(self.names) != len(self.palette):
            raise ValueError(f"{len(self.names)} class names but {len(self.palette)} palette colours")


# Order and ids of the SegNet version of CamVid (11 classes, 11 = void); PyTorch-ENet uses the same.
CAMVID = ClassSet(
    names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign_symbol",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    label_table={**{i: i for i in range(11)}, 11: IGNORE, IGNORE: IGNORE},
)

_CITYSCAPES = (
    # (labelId, name, colour): the 19 classes that are scored, in the order of their train ids.
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
# The table reads `*_labelIds.png` (raw 0..33): what is not among the 19 is ignored.
CITYSCAPES = ClassSet(
    names=tuple(name for _, name, _ in _CITYSCAPES),
    palette=tuple(color for _, _, color in _CITYSCAPES),
    label_table={
        **dict.fromkeys(range(34), IGNORE),
        **{raw: train_id for train_id, (raw, _, _) in enumerate(_CITYSCAPES)},
        IGNORE: IGNORE,
    },
)

CLASS_SETS = {"camvid": CAMVID, "town": CAMVID, "cityscapes": CITYSCAPES}
"""Class sets by data set name. The synthetic town has CamVid's classes."""
