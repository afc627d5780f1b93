from pathlib import Path

import msgspec
import pytest

from pixelwise.datasets.auditing.audit import Audit, ImageSizes, SplitStatistics
from pixelwise.datasets.auditing.correspondence import MaskFit
from pixelwise.datasets.auditing.layout_scores import LayoutScore
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.reports.audit.words import (
    channels_in_words,
    class_files_in_words,
    fits_in_words,
    layout_in_words,
    other_splits_in_words,
    sizes_in_words,
    videos_in_words,
)

EMPTY = Audit(
    dataset="folder",
    layout="",
    classes=(),
    splits={},
    statistics={},
    sizes=ImageSizes(),
    mask_encodings={},
    unusable={},
    findings=(),
)


def score(name: str, used: int, files: int) -> LayoutScore:
    return LayoutScore(name=name, description=name, pairs=used // 2, used=used, files=files)


def counts(images: int, repeated: int) -> SplitStatistics:
    return SplitStatistics(
        images=images, pixels=(), void_pixels=0, images_with_class=(), pixels_of_images_with_class=(), repeated=repeated
    )


def test_sizes_are_width_times_height():
    one = ImageSizes(most_common=(360, 480), most_common_images=5, smallest=(360, 480), largest=(360, 480), distinct=1)
    assert sizes_in_words(msgspec.structs.replace(EMPTY, sizes=one)).startswith("480x360 (WxH)")
    more = msgspec.structs.replace(one, smallest=(10, 20), distinct=3)
    words = sizes_in_words(msgspec.structs.replace(EMPTY, sizes=more))
    assert words.startswith("480x360 (WxH), 5 ")
    assert "20x10 to 480x360" in words


@pytest.mark.parametrize(("channels", "words"), [(None, "RGB"), ((3,), "band 3"), ((4, 0, 2), "bands 4, 0, 2")])
def test_channels_are_named(channels: tuple[int, ...] | None, words: str):
    assert channels_in_words(channels) == words


def test_the_share_of_files_is_exact_at_both_ends():
    assert "100\u00a0%" in layout_in_words([score("folder", 8, 8)])
    assert "99.9\u00a0%" in layout_in_words([score("folder", 999, 1000)])
    assert "%" not in layout_in_words([score("lists", 4, 0)])  # no images of its own to have a share of
    second = layout_in_words([score("lists", 4, 8), score("folder", 8, 8)])
    assert "data.dataset=folder" in second


def test_splits_that_were_not_opened_are_named_with_their_override():
    assert other_splits_in_words({"train_aug": 3}) == "3 train_aug (data.train_split=train_aug)"


@pytest.mark.parametrize(("images", "repeated", "said"), [(100, 9, False), (100, 10, True), (0, 0, False)])
def test_a_video_is_said_from_a_tenth_on(images: int, repeated: int, said: bool):
    found = videos_in_words(msgspec.structs.replace(EMPTY, statistics={"train": counts(images, repeated)}))
    assert bool(found) == said
    if said:
        assert "90 images" in found[0]


def test_files_of_classes_are_counted():
    mask = Path("m.png")
    samples = (Sample("a", mask, mask, (mask, None), mask), Sample("b", mask, mask, (mask, mask)))
    dataset = Dataset(
        name="folder",
        root=Path(),
        classes=("crack", "rust"),
        palette=((0, 0, 0),) * 2,
        label_table=LabelTable(),
        splits={"train": samples},
        reading=Reading(),
        multilabel=True,
    )
    assert "crack 2, rust 1, ignore 1" in class_files_in_words(dataset)


def test_the_three_masks_that_fit_least_are_named():
    fits = tuple(
        MaskFit(split="val", id=name, score=score) for name, score in zip("abcd", (-1.5, 0, 2.25, 3), strict=True)
    )
    found = fits_in_words(msgspec.structs.replace(EMPTY, least_fitting=fits))
    assert "in a of val (-1.5), b of val (0), c of val (2.25);" in found
    assert fits_in_words(EMPTY) == ""
