import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.auditing.audit import SplitStatistics, audit
from pixelwise.datasets.auditing.class_weights import (
    class_weights,
    enet_weights,
    inverse_sqrt_weights,
    median_frequency_weights,
)
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import RecipeError
from pixelwise.recipes.class_sets.tables import CLASS_SETS
from pixelwise.recipes.published.class_weights import ADE20K_RATIOS, PUBLISHED_WEIGHTS
from pixelwise.recipes.schema.recipe import ClassWeights, Data

STATISTICS = SplitStatistics(
    images=2, pixels=(60, 30), void_pixels=10, images_with_class=(2, 1), pixels_of_images_with_class=(100, 50)
)


def test_enet_weights_count_void_pixels_in_the_total():
    assert enet_weights((60, 30), 10) == pytest.approx((1 / math.log(1.62), 1 / math.log(1.32)))


def test_median_frequency_counts_only_images_that_hold_the_class():
    # Frequencies 0.6 and 30 / 50 = 0.6: both at the median.
    assert median_frequency_weights((60, 30), (100, 50)) == pytest.approx((1, 1))
    assert median_frequency_weights((80, 20, 10), (100, 100, 100)) == pytest.approx((0.25, 1, 2))


def test_inverse_sqrt_is_capped_at_six_times_the_smallest_and_has_mean_1():
    weights = inverse_sqrt_weights((10_000, 100, 1))
    assert weights[2] / weights[0] == pytest.approx(6)
    assert weights[1] / weights[0] == pytest.approx(6)
    assert sum(weights) / 3 == pytest.approx(1)
    assert inverse_sqrt_weights((4, 1)) == pytest.approx((2 / 3, 4 / 3))


def test_a_class_without_pixels_gets_the_largest_weight():
    assert inverse_sqrt_weights((4, 1, 0))[2] == inverse_sqrt_weights((4, 1, 0))[1]
    assert median_frequency_weights((80, 20, 0), (100, 100, 0))[2] == max(
        median_frequency_weights((80, 20), (100, 100))
    )
    assert enet_weights((1, 0), 0)[1] == pytest.approx(1 / math.log(1.02))


def test_the_rule_is_chosen_by_name():
    assert class_weights("none", STATISTICS) is None
    assert class_weights("enet", STATISTICS) == enet_weights((60, 30), 10)
    assert class_weights("median-frequency", STATISTICS) == median_frequency_weights((60, 30), (100, 50))
    assert class_weights("inverse-sqrt", STATISTICS) == inverse_sqrt_weights((60, 30))


def counts_of(num_classes: int) -> SplitStatistics:
    ones = (1,) * num_classes
    return SplitStatistics(
        images=1, pixels=ones, void_pixels=0, images_with_class=ones, pixels_of_images_with_class=ones
    )


def test_given_weights_are_used_as_they_are():
    assert class_weights((0.5, 2.0), STATISTICS) == (0.5, 2.0)


@pytest.mark.parametrize("name", PUBLISHED_WEIGHTS)
def test_published_weights_fit_their_data_set(name: ClassWeights):
    num_classes = len(CLASS_SETS["ade20k32" if "ade20k32" in name else "cityscapes"].names)
    weights = class_weights(name, counts_of(num_classes))
    assert weights is not None
    assert len(weights) == num_classes
    assert all(0 < weight < 11 for weight in weights)


def test_the_published_weights_say_which_classes_are_rare():
    classes = CLASS_SETS["cityscapes"].names
    for name in ("edgeai-cityscapes", "erfnet-encoder", "erfnet-decoder"):
        assert classes[PUBLISHED_WEIGHTS[name].index(min(PUBLISHED_WEIGHTS[name]))] == "road"
    assert PUBLISHED_WEIGHTS["edgeai-cityscapes"][classes.index("terrain")] == 1  # the median class


def test_ade20k32_weights_are_the_mean_frequency_over_the_frequency():
    weights = PUBLISHED_WEIGHTS["edgeai-ade20k32"]
    # "other" has what the 31 objects leave, 0.1943; the mean of 32 shares is 1 / 32.
    assert [round(weight, 3) for weight in weights[:3]] == [0.161, 0.198, 0.292]
    assert weights[-1] == pytest.approx(1 / 32 / 0.0044)
    assert sum(1 / weight for weight in weights) == pytest.approx(32)
    assert len(ADE20K_RATIOS) == 31


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ((1.0, 2.0, 3.0), r"loss\.class_weights\D+3\D+2\b"),
        ("erfnet-encoder", r"loss\.class_weights 'erfnet-encoder'\D+19\D+2\b"),
    ],
)
def test_weights_of_other_classes_are_refused(kind: ClassWeights, numbers: str):
    with pytest.raises(RecipeError, match=numbers) as caught:
        class_weights(kind, STATISTICS)
    assert caught.value.code == "R203"


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_weights_are_positive_and_finite_for_any_counts(pixels: list[int]):
    totals = [max(pixels) for _ in pixels]
    for weights in (enet_weights(pixels, 5), median_frequency_weights(pixels, totals), inverse_sqrt_weights(pixels)):
        assert len(weights) == len(pixels)
        assert all(math.isfinite(weight) and weight > 0 for weight in weights)


@pytest.mark.heavy
def test_camvids_weights_are_those_of_the_published_code(camvid_root: Path):
    counts = audit(open_dataset(Data(), camvid_root)).statistics["train"]
    assert [round(w, 3) for w in enet_weights(counts.pixels, counts.void_pixels)] == [
        5.792, 4.440, 34.022, 3.447, 15.912, 9.020, 32.014, 32.479, 13.207, 38.388, 44.135
    ]  # fmt: skip
    assert [round(w, 4) for w in median_frequency_weights(counts.pixels, counts.pixels_of_images_with_class)] == [
        0.2793, 0.2017, 4.7865, 0.149, 1.0, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587
    ]  # fmt: skip
