"""The `data` section: images, labels and how they are read."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pixelwise.recipes.class_sets.tables import IGNORE, MOST_LABELS, Color, class_set
from pixelwise.recipes.schema.base import Part, Range, require, require_at_least, require_size
from pixelwise.recipes.schema.roles import Role, role
from pixelwise.recipes.sizes import Size

_INTEGER = re.compile(r"[+-]?[0-9]+")


class Data(Part, frozen=True, kw_only=True):
    """The data set, and how its images and labels are read.

    Attributes:
        dataset: Name of a data format, such as `folder`, `coco` or `cityscapes`; `auto` detects the format of the
            folder. docs/errors.md lists the formats under D222, installed packages may add others, and the name is
            looked up when the data is opened.
        classes: Class names in the order of their ids; None uses those of the data set, or for `folder` those of its
            `dataset.toml` or of the masks themselves.
        palette: One RGB colour (0..255) per class for overlays and masks.
        label_map: Class id, or 255 (ignored), of each raw mask value, any 64-bit integer; the values are written as
            text, because TOML keys are text.
        colors: Class id, or 255 (ignored), of each `#rrggbb` colour, for masks that are RGB images.
        labels: Class id, or 255 (ignored), of each label name, for annotations with named labels.
        mask_threshold: Threshold (1..255) for reading masks as binary: values from it on are 1, others 0.
        mask_channel: `alpha` reads masks from their alpha channel, for cut-outs and mattes whose transparency marks the
            object; None reads their values or colours.
        mask_tolerance: Largest difference (1..127) from a value of `label_map`, or in each channel from a colour of
            `colors`, for masks that interpolation, lossy compression or noise has changed: other values take the class
            of the nearest one if it lies beside the pixel, and are ignored otherwise.
        multilabel: Whether a pixel can belong to several classes or to none, with one binary mask per class in a folder
            of its name (`masks/crack/0001.png`); such a layout is also recognised without it.
        instance_divisor: Divisor for masks that contain class * divisor + instance: values from the divisor on are
            divided by it, smaller ones are class ids already (Cityscapes: 1000).
        image_field: Which members of samples in WebDataset tars are the images, such as `jpg` or `left.jpg`, or which
            column of Parquet and Arrow files has them; None tells them by their names.
        mask_field: The same for the masks, such as `seg.png` or `label`.
        channels: Image channels that the network receives, in this order, counted from 0, for TIFF files and NumPy
            arrays with any number of bands; None reads every image as RGB. If there are not three of them and
            `model.preprocessing` still has three values, training measures the mean and standard deviation of each.
        train_split: Split to train on. `train+val` merges the two, which are then not available separately;
            `drive-train` and `block-train` are parts of CamVid's train split, whose other parts, `drive-dev` and
            `block-dev`, serve to compare recipes (see `pixelwise.datasets.formats.published.camvid`).
        exif: Whether to turn images upright by the orientation that their files state, in EXIF or else in XMP, and
            masks by the one that their own files state.
        alpha: Treatment of transparent pixels: `drop` keeps their RGB values, `black` blends them onto black.
        input_range: Values that are mapped to 0 and 255, for images with more than 8 bits per channel or of signed or
            floating-point numbers. Images of 8 bits are read as they are, in every format.
        max_pixels: Maximum number of pixels; larger images are refused before they are decoded. `predict` predicts
            TIFF files that are larger in parts.
        mask_resize: Treatment of a mask whose size differs from its image's: `nearest` resizes it for training, and
            scores it at its own size; `refuse` raises an error.
        cache: Place for decoded images: `memory`; `disk`, a file in the cache folder that later runs reuse (see
            `pixelwise data cache`); `auto`, in memory if they fit into a quarter of the free memory; `off`.
        cache_features: Number N of views of each training image whose features a frozen encoder
            (`initialize.freeze`) computes once, before the first step; the disk keeps them in float16. View v is the
            image as `augment` and `sampling.seed` draw it for epoch v, and epoch e trains on view e mod N, so that
            augmentations recur every N epochs. 0 keeps none: every epoch draws its own, and encodes them.
        workers: Number of data loading processes; None: 0 on the CPU, up to 8 on a GPU.
        allow: Codes of data errors that do not stop training.
        town_images: Number of synthetic images per split (train, val, test), for `town`.
        town_size: (height, width) of the synthetic images.
        town_seed: Seed of the synthetic scenes.
    """

    dataset: str = "auto"
    classes: Annotated[tuple[str, ...] | None, role(Role.FROM_DATA)] = None
    palette: Annotated[tuple[Color, ...] | None, role(Role.FROM_DATA, Role.DISPLAY)] = None
    label_map: Annotated[dict[str, int] | None, role(Role.FROM_DATA)] = None
    colors: Annotated[dict[str, int] | None, role(Role.FROM_DATA)] = None
    labels: Annotated[dict[str, int] | None, role(Role.FROM_DATA)] = None
    mask_threshold: int | None = None
    mask_channel: Literal["alpha"] | None = None
    mask_tolerance: int | None = None
    multilabel: bool = False
    instance_divisor: int | None = None
    image_field: str | None = None
    mask_field: str | None = None
    channels: tuple[int, ...] | None = None
    train_split: str = "train"
    exif: Literal["apply", "ignore"] = "apply"
    alpha: Literal["drop", "black"] = "drop"
    input_range: Range | None = None
    max_pixels: int = 100_000_000
    mask_resize: Literal["refuse", "nearest"] = "refuse"
    cache: Annotated[Literal["auto", "memory", "disk", "off"], role(Role.OPERATIONAL)] = "auto"
    cache_features: int = 0
    workers: Annotated[int | None, role(Role.OPERATIONAL)] = None
    allow: Annotated[tuple[str, ...], role(Role.TOLERANCE)] = ()
    town_images: tuple[int, int, int] = (240, 40, 60)
    town_size: Size = (144, 192)
    town_seed: int = 0

    def __post_init__(self) -> None:
        if self.classes is not None and self.palette is not None:
            require(
                len(self.classes) == len(self.palette),
                f"data.palette has {len(self.palette)} colours for {len(self.classes)} classes",
                "give exactly one colour per class",
            )
        self._require_numbers_in_label_map()
        for label, class_id in (self.labels or {}).items():
            largest = len(self.classes) - 1 if self.classes is not None else IGNORE
            require(
                class_id == IGNORE or 0 <= class_id <= largest,
                f"data.labels maps '{label}' to {class_id}; expected 0..{largest} or {IGNORE}",
                "map every label to a class id, or to 255 to ignore it",
            )
        require(
            self.mask_threshold is None or 1 <= self.mask_threshold <= 255,
            f"data.mask_threshold is {self.mask_threshold}; expected 1..255",
            "for example 128",
        )
        require(
            self.mask_tolerance is None or 1 <= self.mask_tolerance <= 127,
            f"data.mask_tolerance is {self.mask_tolerance}; expected 1..127",
            "less than half the difference of the two nearest values, for example 20",
        )
        require(
            self.mask_tolerance is None or (self.mask_threshold is None and self.instance_divisor is None),
            "data.mask_tolerance is set together with data.mask_threshold or data.instance_divisor",
            "leave out data.mask_tolerance",
        )
        if self.multilabel:
            self._require_class_masks()
        require_at_least(2, "data.instance_divisor", self.instance_divisor, "for example 1000")
        require(
            self.channels is None or (len(self.channels) > 0 and min(self.channels) >= 0),
            f"data.channels is {list(self.channels or ())}; expected channels counted from 0",
            "for example [3, 2, 1] for the fourth, third and second band",
        )
        require_at_least(1, "data.max_pixels", self.max_pixels, "for example 100000000")
        require_at_least(
            0, "data.cache_features", self.cache_features, "a number of views, for example 8; 0 keeps none"
        )
        require_at_least(0, "data.workers", self.workers, "0 loads in the main process")
        if self.input_range is not None:
            low, high = self.input_range
            require(
                low < high,
                f"data.input_range is {[low, high]}; expected the lower value first",
                "for example [0, 65535]",
            )
        require(
            min(self.town_images) >= 1,
            f"data.town_images is {list(self.town_images)}; expected 1 or more for each of train, val and test",
            "for example [240, 40, 60]",
        )
        require_size("data.town_size", self.town_size)
        require_at_least(0, "data.town_seed", self.town_seed, "for example 0")

    def _require_numbers_in_label_map(self) -> None:
        """Refuse a label map whose keys are not raw values of a mask, or whose values are not class ids."""
        for raw, class_id in (self.label_map or {}).items():
            require(
                _INTEGER.fullmatch(raw) is not None and -(2**63) <= int(raw) < 2**64 and 0 <= class_id <= IGNORE,
                f"data.label_map maps '{raw}' to {class_id}; expected a 64-bit integer to a class id, or to {IGNORE}",
                "map every raw value to a class id, or to 255 to ignore it",
            )

    def _require_class_masks(self) -> None:
        """Refuse settings that conflict with one binary mask per class."""
        for name in ("label_map", "colors", "labels", "instance_divisor", "mask_tolerance"):
            require(
                getattr(self, name) is None,
                f"data.{name} is set but data.multilabel is true: each class has a binary mask of its own",
                f"leave out data.{name}; the names of the folders are the classes",
            )
        number = len(self.classes or ())
        require(
            number <= MOST_LABELS,
            f"data.classes names {number} classes; multi-label data has at most {MOST_LABELS}",
            "leave out the rarest ones, or train two networks",
        )

    @property
    def bands(self) -> int:
        """Number of image channels that the network receives."""
        return 3 if self.channels is None else len(self.channels)

    def class_names(self) -> tuple[str, ...] | None:
        """The class names, if they are known without reading the data; otherwise None."""
        if self.classes is not None:
            return self.classes
        known = class_set(self.dataset)
        return known.names if known else None
