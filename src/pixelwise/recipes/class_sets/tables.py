"""Class names, palettes and label tables of the known data sets.

A label table maps the raw values of mask files to classes: `{raw value: class id or IGNORE}`. A raw value that is not
in the table is an error that names the file; it is never silently ignored.
"""

from __future__ import annotations

import msgspec

from pixelwise.plugins import import_plugins
from pixelwise.recipes.class_sets.ade20k import OBJECTS
from pixelwise.recipes.class_sets.camvid import LABELS as CAMVID_LABELS
from pixelwise.recipes.class_sets.cocostuff import LABELS as STUFF_LABELS
from pixelwise.recipes.class_sets.cocostuff import REMOVED as STUFF_REMOVED

IGNORE = 255
IGNORE_BIT = 1 << 30
"""Counterpart of `IGNORE` for multi-label data, whose labels are int32 bit fields: bit k is class k."""
MOST_LABELS = 30
"""Maximum number of classes of multi-label data: the bits below `IGNORE_BIT`."""
Color = tuple[int, int, int]


class ClassSet(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of a data set.

    Attributes:
        names: Class names in the order of class ids.
        palette: Official RGB colour (0..255) of each class.
        label_table: Class id, or `IGNORE`, of each raw mask value.
        unlabelled_color: RGB colour of pixels without a class in colour masks.
        shares: Share of the labelled pixels, 0..1, that each class has in the data set; empty if it is not recorded.
    """

    names: tuple[str, ...]
    palette: tuple[Color, ...]
    label_table: dict[int, int]
    unlabelled_color: Color = (0, 0, 0)
    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.palette):
            raise ValueError(f"{len(self.names)} class names but {len(self.palette)} palette colours")

    def color_table(self) -> dict[str, int]:
        """Class id, or `IGNORE`, of each `#rrggbb` colour, for masks that are RGB images.

        A colour shared by two classes (ADE20K's road and skyscraper) is ambiguous and left out.
        """
        colors = {self.unlabelled_color: IGNORE}
        colors |= {color: class_id for class_id, color in enumerate(self.palette)}
        return {
            "#{:02x}{:02x}{:02x}".format(*color): class_id
            for color, class_id in colors.items()
            if self.palette.count(color) < 2
        }


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
    shares=(0.164, 0.250, 0.010, 0.304, 0.069, 0.116, 0.011, 0.015, 0.048, 0.007, 0.006),
)

_CITYSCAPES = (
    # (labelId, name, colour) of the 19 evaluated classes, in the order of their train ids.
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
# The table is for `*_labelIds.png` (raw 0..33); ids that are not among the 19 are ignored.
CITYSCAPES = ClassSet(
    names=tuple(name for _, name, _ in _CITYSCAPES),
    palette=tuple(color for _, _, color in _CITYSCAPES),
    label_table={
        **dict.fromkeys(range(34), IGNORE),
        **{raw: train_id for train_id, (raw, _, _) in enumerate(_CITYSCAPES)},
        IGNORE: IGNORE,
    },
)


def voc_color(index: int) -> Color:
    """Colour `index` of the Pascal VOC colour map: its bits, three at a time, set the channels' bits from the top."""
    red = green = blue = 0
    for shift in range(7, -1, -1):
        red |= (index & 1) << shift
        green |= (index >> 1 & 1) << shift
        blue |= (index >> 2 & 1) << shift
        index >>= 3
    return red, green, blue


def _parse(text: str) -> tuple[tuple[str, ...], tuple[Color, ...]]:
    """Names and colours from text of the form `rrggbb name, rrggbb name, ...`."""
    entries = [entry.strip() for entry in text.split(",")]
    codes = [int(entry[:6], 16) for entry in entries]
    return tuple(entry[7:] for entry in entries), tuple((code >> 16, code >> 8 & 255, code & 255) for code in codes)


_VOC_NAMES, _VOC_PALETTE = _parse(
    "000000 background, 800000 aeroplane, 008000 bicycle, 808000 bird, 000080 boat, 800080 bottle, 008080 bus, "
    "808080 car, 400000 cat, c00000 chair, 408000 cow, c08000 diningtable, 400080 dog, c00080 horse, "
    "408080 motorbike, c08080 person, 004000 pottedplant, 804000 sheep, 00c000 sofa, 80c000 train, 004080 tvmonitor"
)
# Pascal VOC 2012: 255 marks the borders of objects. torchvision's and TI's versions of COCO have the same classes in
# the same order.
VOC = ClassSet(
    names=_VOC_NAMES,
    palette=_VOC_PALETTE,
    label_table={**{i: i for i in range(21)}, IGNORE: IGNORE},
    unlabelled_color=(224, 224, 192),
)

_ADE_NAMES, _ADE_PALETTE = _parse(OBJECTS)
# SceneParsing benchmark: 0 in a mask file means "other objects" and is ignored; object k is class k - 1.
ADE20K = ClassSet(
    names=_ADE_NAMES,
    palette=_ADE_PALETTE,
    label_table={0: IGNORE, **{i + 1: i for i in range(150)}, IGNORE: IGNORE},
)
# TI's 32 classes: "other" and the 31 most frequent objects; every pixel of the data set counts.
ADE20K32 = ClassSet(
    names=("other", *_ADE_NAMES[:31]),
    palette=((0, 0, 0), *_ADE_PALETTE[:31]),
    label_table={**{i: i if i < 32 else 0 for i in range(151)}, IGNORE: IGNORE},
)

_LABELS, _LABEL_COLORS = _parse(CAMVID_LABELS)
_VOID = _LABELS.index("Void")
# The original CamVid: 32 labels, of which Void is ignored; the others keep their order.
CAMVID32 = ClassSet(
    names=(*_LABELS[:_VOID], *_LABELS[_VOID + 1 :]),
    palette=(*_LABEL_COLORS[:_VOID], *_LABEL_COLORS[_VOID + 1 :]),
    label_table={**{i: i - (i > _VOID) for i in range(len(_LABELS))}, _VOID: IGNORE, IGNORE: IGNORE},
)

_STUFF = tuple(enumerate(" ".join(STUFF_LABELS.split()).split(", ")))
_STUFF_KEPT = [(raw, name) for raw, name in _STUFF if name not in STUFF_REMOVED]
# COCO-Stuff has no official colours, so every id gets its colour from the VOC colour map. A removed id in a mask is an
# error, because the masks of the data set contain none.
COCOSTUFF171 = ClassSet(
    names=tuple(name for _, name in _STUFF_KEPT),
    palette=tuple(voc_color(raw + 1) for raw, _ in _STUFF_KEPT),
    label_table={**{raw: class_id for class_id, (raw, _) in enumerate(_STUFF_KEPT)}, IGNORE: IGNORE},
)

# Masks hold train ids of Cityscapes.
BDD100K = ClassSet(
    names=CITYSCAPES.names,
    palette=CITYSCAPES.palette,
    label_table={**{number: number for number in range(len(CITYSCAPES.names))}, IGNORE: IGNORE},
)
BDD100K_DRIVABLE = ClassSet(
    names=("direct", "alternative", "background"),
    palette=((219, 94, 86), (86, 211, 219), (0, 0, 0)),
    label_table={0: 0, 1: 1, 2: 2, IGNORE: IGNORE},
    unlabelled_color=(255, 255, 255),
)
# Colours of the masks; black is neither.
KITTI_ROAD = ClassSet(
    names=("background", "road"),
    palette=((255, 0, 0), (255, 0, 255)),
    label_table={0: 0, 1: 1, IGNORE: IGNORE},
    unlabelled_color=(0, 0, 0),
)

CLASS_SETS = {
    "camvid": CAMVID,
    "town": CAMVID,
    "cityscapes": CITYSCAPES,
    "voc-aug": VOC,
    "ade20k": ADE20K,
    "ade20k32": ADE20K32,
    "cocoseg21": VOC,
    "cocoseg21-edgeai": VOC,
    "camvid32": CAMVID32,
    "cocostuff171": COCOSTUFF171,
    "kitti": CITYSCAPES,
    "kitti-road": KITTI_ROAD,
    "bdd100k": BDD100K,
    "bdd100k-drivable": BDD100K_DRIVABLE,
}
"""Class sets by data set name; the synthetic town has CamVid's classes."""

_FOUND_IN_FILES = (
    "coco", "cvat", "cvat-masks", "folder", "instances", "label-studio", "labelme", "lists", "mapillary",
    "mapillary-v1", "nnunet", "supervisely", "via", "yolo",
)  # fmt: skip
BUILT_IN = frozenset({*CLASS_SETS, *_FOUND_IN_FILES})
"""The built-in data sets and formats, for which no plug-in has to be imported."""


def class_set(name: str) -> ClassSet | None:
    """The classes of a data set by the name of its format; None if they are not known without its files.

    Plug-ins are imported for any other name than `auto` and the built-in ones.
    """
    if name not in BUILT_IN and name != "auto":
        import_plugins()
    return CLASS_SETS.get(name)
