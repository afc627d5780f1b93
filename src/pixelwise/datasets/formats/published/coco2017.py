"""COCO 2017 (Lin et al., ECCV 2014) as a segmentation data set with the 21 Pascal VOC classes.

COCO ships object outlines instead of masks. They are drawn once, into the user's cache folder, by the rules of
torchvision's reference code (references/segmentation/coco_utils.py): the 20 categories of VOC become classes,
everything else is background; pixels of two or more objects are ignored (255); outlines of crowds count like any
other. From then on the masks are ordinary files. The 118,287 training images take about ten minutes and half a
gigabyte, once: cached masks are looked up by a hash of the annotation file's content.

`cocoseg21` leaves out training images whose objects cover no more than 1000 pixels and keeps all 5000 validation
images, as torchvision does. `cocoseg21-edgeai` filters val too, as TI does.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.format import PUBLIC, Format, Miniature, OtherFormatError, Scenes, register
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.layouts.named_images import NamedImages, Wanted, file_name
from pixelwise.datasets.layouts.rasterising import draw_segmentation
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.publication import Publication, Source
from pixelwise.datasets.reading.limits import require_room
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE, VOC
from pixelwise.storage import json_text, portable, printable, write_text
from pixelwise.storage.cache_kinds import COCOSEG21
from pixelwise.storage.caches import building_entry, entry_path, intact_entry, subject_of
from pixelwise.storage.documents import DocumentError, parse_json, read_document, read_json, reading

CATEGORIES = {
    5: "airplane", 2: "bicycle", 16: "bird", 9: "boat", 44: "bottle", 6: "bus", 3: "car", 17: "cat", 62: "chair",
    21: "cow", 67: "dining table", 18: "dog", 19: "horse", 4: "motorcycle", 1: "person", 64: "potted plant",
    20: "sheep", 63: "couch", 7: "train", 72: "tv",
}  # fmt: skip
"""COCO id -> name of the categories that become classes 1..20, in VOC's order."""
SMALLEST_AREA = 1000
"""A filtered split leaves out images whose objects cover no more than this many pixels in total, as annotated."""

_INDEX = "index.json"
_HELP = "unpack annotations_trainval2017.zip again; its instances_*2017.json list images and annotations"


class _Image(msgspec.Struct):
    id: int
    file_name: str
    height: int
    width: int


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    area: float
    segmentation: msgspec.Raw


class _Category(msgspec.Struct):
    id: int
    name: str


class _Categories(msgspec.Struct):
    categories: list[_Category]


class _Annotations(msgspec.Struct):
    """The fields of an `instances_*.json` that are needed; outlines are decoded image by image."""

    categories: list[_Category]
    images: list[_Image]
    annotations: list[_Annotation]


class _Drawn(msgspec.Struct, array_like=True):
    """One image of the index; its mask is `STEM.png` beside the index.

    Attributes:
        file_name: File name of the image.
        labelled: Whether its objects cover more than `SMALLEST_AREA` pixels.
    """

    file_name: str
    labelled: bool


def coco_layout(root: Path) -> Layout | None:
    """The layout of `root` as `cocoseg21`, or None if it does not hold COCO 2017. The first call draws the masks.

    Raises:
        DataError: D227, an annotation file is unreadable or not in COCO's format.
        OtherFormatError: D227, an annotation file has categories other than COCO's, or lists an image twice.
        ResourceError: S601, the disk of the cache folder is full.
    """
    return _layout(root, "cocoseg21", filtered=("train",))


def coco_edgeai_layout(root: Path) -> Layout | None:
    """The layout of `root` as `cocoseg21-edgeai`; see `coco_layout`."""
    return _layout(root, "cocoseg21-edgeai", filtered=("train", "val"))


def looks_like_coco(root: Path) -> bool:
    """Whether `root` is laid out like COCO 2017. Reads no file."""
    return bool(_folders(root))


def _folders(root: Path) -> dict[str, tuple[Path, Path]]:
    """Split -> folder of images and annotation file, for the splits that have both."""
    found = {}
    for split in ("train", "val"):
        annotations = root / "annotations" / f"instances_{split}2017.json"
        for images in (root / f"{split}2017", root / "images" / f"{split}2017"):
            if images.is_dir() and annotations.is_file():
                found.setdefault(split, (images, annotations))
    return found


def _layout(root: Path, name: str, filtered: tuple[str, ...]) -> Layout | None:
    folders = _folders(root)
    if not folders:
        return None
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    hashes = HashCache(root)
    for split, (images, file) in folders.items():
        masks, drawn = _masks(file, hashes)
        wanted = [image for image in drawn if image.labelled or split not in filtered]
        splits[split], findings = _samples(split, images, masks, wanted)
        problems += findings
    hashes.save()
    return Layout(
        name=name,
        description="COCO 2017: {split}2017/ with annotations/instances_{split}2017.json, drawn as masks of the 21 "
        "VOC classes into the cache folder; without images that have few labelled pixels in " + " and ".join(filtered),
        root=root,
        splits=splits,
        problems=tuple(problems),
    )


def _samples(
    split: str, folder: Path, masks: Path, wanted: Iterable[_Drawn]
) -> tuple[tuple[Sample, ...], list[Finding]]:
    listing = list_images(folder)
    problems = listing.problems
    images = NamedImages(listing.entries, folder)
    samples, missing = [], []
    for image in wanted:
        entry = images.find(Wanted((image.file_name,), folder / image.file_name)).entry
        if entry is None:
            missing.append(printable(folder / image.file_name))
        else:
            samples.append(Sample(entry.key, entry.path, masks / _mask_name(image.file_name)))
    if missing:
        problems.append(
            finding(
                "D220",
                f"{split}: {len(missing)} of {len(missing) + len(samples)} annotated images do not exist, "
                f"e.g. {missing[0]}",
                missing,
                f"unpack {split}2017.zip again, or train without them: 'data.allow=[\"D220\"]'",
            )
        )
    if not samples:
        empty = f"split '{split}' is empty: no annotated image was found"
        problems.append(finding("D221", empty, [], f"add its images to {printable(folder)}"))
    return tuple(sorted(samples, key=lambda sample: sample.id)), problems


def _masks(annotations: Path, hashes: HashCache) -> tuple[Path, list[_Drawn]]:
    """Folder with the masks of an annotation file, and its index; the masks are drawn if they are not cached."""
    try:
        key = hashes.digest(annotations)[:24]
    except OSError as error:
        raise _unusable(annotations, error) from error
    subject = subject_of(annotations.absolute())
    folder = entry_path(COCOSEG21, key, subject=subject)
    try:
        if not intact_entry(folder):
            raise DocumentError(folder, "is missing or damaged")
        index = read_json(folder / _INDEX, list[_Drawn])
    except DocumentError:
        content = _read(annotations)
        with building_entry(COCOSEG21, folder, subject=subject) as unfinished:
            index = _draw_all(content, annotations, unfinished)
    return folder, index


def _read(file: Path) -> _Annotations:
    try:
        content = read_document(file)
        # The categories are checked before the other fields, which other tools often leave out: their files are to be
        # reported as another format, not as damaged.
        _check_categories(parse_json(content, _Categories, file).categories, file)
        found = parse_json(content, _Annotations, file)
    except DocumentError as error:
        raise DataError("D227", error.message, _HELP) from error
    _check_images(found, file)
    return found


def _check_categories(found: list[_Category], file: Path) -> None:
    names = {category.id: category.name for category in found}
    for category, name in CATEGORIES.items():
        if names.get(category) != name:
            raise OtherFormatError(
                "D227",
                f"{printable(file)}: category {category} is {names.get(category)!r}; expected COCO's {name!r}",
                "these are not COCO's own annotations; data.dataset=coco takes the categories as they are",
            )


def _check_images(found: _Annotations, file: Path) -> None:
    """Refuse a file that lists an image twice, or annotates one that it does not list: COCO's own files do neither."""
    ids = {image.id for image in found.images}
    names = {image.file_name for image in found.images}
    if len(names) < len(found.images) or len(ids) < len(found.images):
        state = f"lists {len(found.images)} images with {len(names)} names and {len(ids)} ids"
    elif lost := [one.image_id for one in found.annotations if one.image_id not in ids]:
        state = f"has {len(lost)} annotations of images that it does not list, e.g. image_id {lost[0]}"
    else:
        return
    raise OtherFormatError(
        "D227",
        f"{printable(file)}: {state}; COCO's own files do not",
        "unpack annotations_trainval2017.zip again, or use data.dataset=coco, which joins the entries of an image",
    )


def _draw_all(annotations: _Annotations, file: Path, folder: Path) -> list[_Drawn]:
    """Write the masks of all images, then the index, into a folder."""
    class_of = {category: class_id for class_id, category in enumerate(CATEGORIES, start=1)}
    of_image: dict[int, list[_Annotation]] = {image.id: [] for image in annotations.images}
    for annotation in annotations.annotations:
        if annotation.category_id in class_of:
            of_image[annotation.image_id].append(annotation)
    index = []
    for image in annotations.images:
        objects = of_image[image.id]
        labels = _draw(image, objects, class_of, file)
        _, png = cv2.imencode(".png", labels, (cv2.IMWRITE_PNG_COMPRESSION, 1))
        (folder / _mask_name(image.file_name)).write_bytes(png.tobytes())
        index.append(_Drawn(image.file_name, sum(one.area for one in objects) > SMALLEST_AREA))
    (folder / _INDEX).write_bytes(msgspec.json.encode(index))
    return index


def _mask_name(image_name: str) -> str:
    return f"{portable(Path(file_name(image_name)).stem, ending='.png')}.png"


def _draw(image: _Image, objects: Iterable[_Annotation], class_of: dict[int, int], file: Path) -> np.ndarray:
    """Class ids of one image, uint8 (H, W): 0 where there is no object, 255 where there are several."""
    if image.height < 1 or image.width < 1:
        raise DataError(
            "D227", f"{printable(file)}: {printable(image.file_name)} is {image.width}x{image.height} (WxH)", _HELP
        )
    require_room(file, 5 * image.height * image.width)
    labels = np.zeros((image.height, image.width), np.uint8)
    covered = np.zeros((image.height, image.width), bool)
    shared = np.zeros((image.height, image.width), bool)
    for one in objects:
        try:
            with reading(file):
                pixels = draw_segmentation(msgspec.json.decode(one.segmentation), image.height, image.width)
        except DocumentError as error:
            raise DataError(
                "D227", f"{printable(file)}: an object of {printable(image.file_name)}: {error.reason}", _HELP
            ) from error
        shared |= covered & pixels
        covered |= pixels
        labels[pixels] = class_of[one.category_id]
    labels[shared] = IGNORE
    return labels


def _unusable(file: Path, error: Exception) -> DataError:
    reason = error.strerror if isinstance(error, OSError) else error
    return DataError("D227", f"{printable(file)}: {reason}", _HELP)


def _write(root: Path, scenes: Scenes) -> None:
    numbers = list(CATEGORIES)
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in CATEGORIES.items()]
    for split, members in scenes.splits.items():
        images, annotations = [], []
        for number, scene in enumerate(members, start=1):
            file, (height, width) = f"{number:012d}.jpg", scene.labels.shape
            write_image(root / f"{split}2017" / file, scene.image)
            images.append({"id": number, "file_name": file, "height": height, "width": width})
            for class_id, left, top, right, bottom in scene.boxes:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": numbers[class_id - 1],
                        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                        "area": (right - left) * (bottom - top),
                        "iscrowd": 0,
                        "bbox": [left, top, right - left, bottom - top],
                    }
                )
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations").mkdir(exist_ok=True)
        write_text(root / "annotations" / f"instances_{split}2017.json", json_text(content))


_EXPECTED = "{train,val}2017/ (or images/{train,val}2017/) with annotations/instances_{train,val}2017.json"
_ARCHIVES = "http://images.cocodataset.org"
IMAGE_ARCHIVES = (
    Source(
        file="train2017.zip",
        url=f"{_ARCHIVES}/zips/train2017.zip",
        brings="train2017",
        size=19_336_861_798,
        sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    ),
    Source(
        file="val2017.zip",
        url=f"{_ARCHIVES}/zips/val2017.zip",
        brings="val2017",
        size=815_585_330,
        sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    ),
)
"""Archives of the images, which other data sets annotate as well."""
_PUBLICATION = Publication(
    name="coco",
    summary="COCO 2017: 118287 training and 5000 validation images; masks are drawn when it is first opened.",
    terms="annotations CC BY 4.0, images under Flickr's terms of use; cocodataset.org",
    sources=(
        *IMAGE_ARCHIVES,
        Source(
            file="annotations_trainval2017.zip",
            url=f"{_ARCHIVES}/annotations/annotations_trainval2017.zip",
            brings="annotations/instances_val2017.json",
            size=252_907_541,
            sha256="113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
        ),
    ),
    expected={"train2017/*.jpg": 118287, "val2017/*.jpg": 5000, "annotations/instances_*2017.json": 2},
)
register(
    Format(
        name="cocoseg21",
        title="COCO 2017 as 21 VOC classes",
        expected=_EXPECTED,
        layout=coco_layout,
        recognise=looks_like_coco,
        # Below COCO-Stuff, which has the same images and masks in addition.
        priority=PUBLIC - 1,
        classes=VOC,
        drawn=True,
        publications=(_PUBLICATION,),
        miniature=Miniature(write=_write, size=(480, 640), boxes=True),
    )
)
register(
    Format(
        name="cocoseg21-edgeai",
        title="COCO 2017 as 21 VOC classes, TI's selection of images",
        expected=_EXPECTED,
        layout=coco_edgeai_layout,
        classes=VOC,
        drawn=True,
        publications=(_PUBLICATION,),
        miniature=Miniature(write=_write, size=(480, 640), boxes=True),
    )
)
