import math

import pytest
from results import class_result, miniature

from pixelwise.evaluation.comparing import Difference, RunComparison, compare
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.scores import ImageScore

RECIPE = recipe("enet-camvid")


def images(**miou: float) -> tuple[ImageScore, ...]:
    return tuple(ImageScore(id=id, miou=value, pixel_accuracy=1, labelled_pixels=1) for id, value in miou.items())


OURS = miniature(miou=0.8, per_image=images(a=0.9, b=0.5, c=0.7, d=math.nan, e=0.1))
THEIRS = miniature(
    miou=0.75,
    per_class=(class_result("grass", 0.75), class_result("path", 0.75), class_result("hut", 0.5)),
    per_image=images(a=0.5, b=0.6, c=0.7, d=0.5, f=0.1),
)


def against(ours=OURS, theirs=THEIRS, recipes=(RECIPE, RECIPE)) -> RunComparison:
    return compare(("new", "old"), (ours, theirs), recipes)


def test_differences_are_those_of_a_count_by_hand():
    found = against()
    assert found.miou == pytest.approx(0.05)
    assert found.per_class == {"grass": 0.125, "path": -0.125}  # a class without an IoU in one of them has none
    assert {id: round(change, 9) for id, change in found.images.items()} == {"b": -0.1, "c": 0, "a": 0.4}
    assert (found.better, found.worse) == (1, 1)
    assert found.image_miou == pytest.approx(0.1)
    assert found.remarks == ()


def test_the_interval_covers_the_mean_and_shrinks_with_images():
    def width(number: int) -> float:
        ours = miniature(per_image=images(**{f"i{i}": 0.5 + 0.1 * (i % 2) for i in range(number)}))
        theirs = miniature(per_image=images(**{f"i{i}": 0.5 for i in range(number)}))
        found = against(ours, theirs)
        assert found.image_interval is not None
        low, high = found.image_interval
        assert low <= found.image_miou <= high
        return high - low

    assert width(100) < width(10) / 2
    assert against(miniature(per_image=images(a=1.0)), miniature(per_image=images(a=0.5))).image_interval is None


def test_frames_of_a_video_count_as_one_image_in_the_interval():
    scores = {f"drive{letter}": 0.5 + 0.02 * place for place, letter in enumerate("ghbdaecfkijl")}
    frames = {f"{name}_{frame}": score for name, score in scores.items() for frame in range(5)}
    alone, videos = (
        against(miniature(per_image=images(**one)), miniature(per_image=images(**dict.fromkeys(one, 0.4))))
        for one in (scores, frames)
    )
    assert alone.image_interval is not None
    assert videos.image_interval == pytest.approx(alone.image_interval)
    assert videos.image_miou == pytest.approx(alone.image_miou)


def test_one_line_and_tables():
    found = against()
    assert repr(found).startswith(
        "<RunComparison new against old: mIoU +5.00: better in 1 of 3 images, worse in 1; per "
    )
    page = found._repr_html_()
    assert "+12.50" in page
    assert "-12.50" in page
    assert "recipe" not in page


def test_fields_that_differ_and_describe_more_than_the_recipe():
    other = apply_overrides(RECIPE, ["optimizer.lr=0.5", "name=other"])
    assert against(recipes=(RECIPE, other)).recipe == (
        Difference(field="optimizer.lr", ours=RECIPE.optimizer.lr, theirs=0.5),
    )
    assert "optimizer.lr" in against(recipes=(RECIPE, other))._repr_html_()


def test_what_cannot_be_compared_is_said():
    theirs = miniature(
        split="test", data_fingerprint="g", images=3, per_class=(class_result("sea", 1), *OURS.per_class[1:])
    )
    found = against(theirs=theirs)
    assert found.per_class == {"path": 0}
    assert found.remarks == (
        "The split differs: val and test.",
        "The number of images differs: 2 and 3.",
        "The images or masks that were scored are not the same.",
        "Classes of only one of them: grass, sea.",
        "No image was scored in both, so nothing is said about single images.",
    )
    assert found.verdict == "mIoU +5.00"
    assert math.isnan(found.image_miou)
